// A Hive Metastore 2.3 on 127.0.0.1:<port>, with the tables that its locks need. `HiveMetaStore.main` would listen on
// every interface of the machine. Settings come as system properties. Neighbours: hive_metastore.py starts it.
import java.net.InetSocketAddress;
import org.apache.hadoop.hive.conf.HiveConf;
import org.apache.hadoop.hive.metastore.HiveMetaStore;
import org.apache.hadoop.hive.metastore.IHMSHandler;
import org.apache.hadoop.hive.metastore.TSetIpAddressProcessor;
import org.apache.hadoop.hive.metastore.txn.TxnDbUtil;
import org.apache.thrift.server.TThreadPoolServer;
import org.apache.thrift.transport.TServerSocket;

public class Metastore2 {
  public static void main(String[] arguments) throws Throwable {
    HiveConf conf = new HiveConf();
    for (String scheme : new String[] {"s3", "s3a"}) conf.set("fs." + scheme + ".impl", "ObjectStore");
    conf.set("datanucleus.query.sql.allowAll", "true"); // an alter_table that expects a parameter asks in SQL
    TxnDbUtil.setConfValues(conf);
    if (Boolean.getBoolean("headrace.fresh")) TxnDbUtil.prepDb(conf);
    LockTimeouts.start(System.getProperty("javax.jdo.option.ConnectionURL"));
    IHMSHandler handler =
        HiveMetaStore.newRetryingHMSHandler(new HiveMetaStore.HMSHandler("metastore", conf, false), conf);
    TServerSocket socket = new TServerSocket(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])));
    new TThreadPoolServer(new TThreadPoolServer.Args(socket).processor(new TSetIpAddressProcessor<>(handler))).serve();
  }
}
