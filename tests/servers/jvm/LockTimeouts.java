// What a metastore's housekeeper does for locks: those without a heartbeat for some seconds are let go of. The servers
// here run without housekeepers, so a writer that was killed would keep its lock for ever. Neighbours: Metastore2.java,
// Metastore4.java start it.
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;

public class LockTimeouts {
  private static final long SILENCE_MS = 10_000;

  static void start(String url) {
    Thread thread = new Thread(() -> run(url), "lock timeouts");
    thread.setDaemon(true);
    thread.start();
  }

  private static void run(String url) {
    while (true) {
      try {
        Thread.sleep(1000);
        try (Connection connection = DriverManager.getConnection(url);
            PreparedStatement delete = connection.prepareStatement(
                "delete from HIVE_LOCKS where HL_TXNID = 0 and HL_LAST_HEARTBEAT < ?")) {
          delete.setLong(1, System.currentTimeMillis() - SILENCE_MS);
          delete.executeUpdate();
        }
      } catch (InterruptedException end) {
        return;
      } catch (Exception busy) { // its tables are not made yet, or the row is held: the next turn is near
        continue;
      }
    }
  }
}
