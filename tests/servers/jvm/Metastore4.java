// A Hive Metastore 4.0 on 127.0.0.1:<port>; see Metastore2.java. The tables that its locks need are made here, since
// this release ships their definition in another package than its server.
import java.net.InetSocketAddress;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.Statement;
import java.util.Properties;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hive.metastore.HMSHandler;
import org.apache.hadoop.hive.metastore.HMSHandlerProxyFactory;
import org.apache.hadoop.hive.metastore.IHMSHandler;
import org.apache.hadoop.hive.metastore.TSetIpAddressProcessor;
import org.apache.hadoop.hive.metastore.conf.MetastoreConf;
import org.apache.thrift.server.TThreadPoolServer;
import org.apache.thrift.transport.TServerSocket;

public class Metastore4 {
  public static void main(String[] arguments) throws Throwable {
    Configuration conf = MetastoreConf.newMetastoreConf();
    Properties given = System.getProperties();
    for (String name : given.stringPropertyNames()) conf.set(name, given.getProperty(name));
    for (String scheme : new String[] {"s3", "s3a"}) conf.set("fs." + scheme + ".impl", "ObjectStore");
    IHMSHandler handler = HMSHandlerProxyFactory.getProxy(conf, new HMSHandler("metastore", conf), false);
    if (Boolean.getBoolean("headrace.fresh")) makeLockTables(given.getProperty("javax.jdo.option.ConnectionURL"));
    LockTimeouts.start(given.getProperty("javax.jdo.option.ConnectionURL"));
    TServerSocket socket = new TServerSocket(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])));
    new TThreadPoolServer(new TThreadPoolServer.Args(socket).processor(new TSetIpAddressProcessor<>(handler))).serve();
  }

  private static void makeLockTables(String url) throws Exception {
    try (Connection connection = DriverManager.getConnection(url); Statement statement = connection.createStatement()) {
      statement.execute("create table NEXT_LOCK_ID (NL_NEXT bigint not null)");
      statement.execute("insert into NEXT_LOCK_ID values (1)");
      statement.execute("create table HIVE_LOCKS (HL_LOCK_EXT_ID bigint not null, HL_LOCK_INT_ID bigint not null, "
          + "HL_TXNID bigint not null, HL_DB varchar(128) not null, HL_TABLE varchar(256), HL_PARTITION varchar(767), "
          + "HL_LOCK_STATE char(1) not null, HL_LOCK_TYPE char(1) not null, HL_LAST_HEARTBEAT bigint not null, "
          + "HL_ACQUIRED_AT bigint, HL_USER varchar(128) not null, HL_HOST varchar(128) not null, "
          + "HL_HEARTBEAT_COUNT integer, HL_AGENT_INFO varchar(128), HL_BLOCKEDBY_EXT_ID bigint, "
          + "HL_BLOCKEDBY_INT_ID bigint, primary key (HL_LOCK_EXT_ID, HL_LOCK_INT_ID))");
    }
  }
}
