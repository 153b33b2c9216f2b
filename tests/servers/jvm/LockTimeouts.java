// What a metastore's housekeeper does for locks: those without a heartbeat for some seconds are let go of. The servers
// here run without housekeepers, so a writer that was killed would keep its lock for ever. Neighbours: Metastore2.java,
// Metastore4.java start it.
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;

public class LockTimeouts {
  private static final long SILENCE_MS = Long.getLong("headrace.lock-silence-ms", 10_000);

  static void start(String url) {
    Thread thread = new Thread(() -> run(url), "lock timeouts");
    thread.setDaemon(true);
    thread.start();
  }

  // Looks without locks of its own, and takes a row at a time: a scan that waits for rows which a metastore has locked,
  // while that waits for rows of the scan, keeps both for as long as Derby lets them.
  private static void endOld(Connection connection) throws SQLException {
    connection.setTransactionIsolation(Connection.TRANSACTION_READ_UNCOMMITTED);
    List<Long> old = new ArrayList<>();
    try (PreparedStatement find = connection.prepareStatement(
        "select HL_LOCK_EXT_ID from HIVE_LOCKS where HL_TXNID = 0 and HL_LAST_HEARTBEAT < ?")) {
      find.setLong(1, System.currentTimeMillis() - SILENCE_MS);
      try (ResultSet rows = find.executeQuery()) {
        while (rows.next()) old.add(rows.getLong(1));
      }
    }
    try (PreparedStatement delete = connection.prepareStatement(
        "delete from HIVE_LOCKS where HL_LOCK_EXT_ID = ? and HL_LAST_HEARTBEAT < ?")) {
      for (long id : old) {
        delete.setLong(1, id);
        delete.setLong(2, System.currentTimeMillis() - SILENCE_MS);
        delete.executeUpdate();
      }
    }
  }

  private static void run(String url) {
    while (true) {
      try {
        Thread.sleep(SILENCE_MS / 10);
        try (Connection connection = DriverManager.getConnection(url)) {
          endOld(connection);
        }
      } catch (InterruptedException end) {
        return;
      } catch (Exception busy) { // its tables are not made yet, or the row is held: the next turn is near
        continue;
      }
    }
  }
}
