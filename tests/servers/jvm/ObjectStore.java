// Answers for s3:// and s3a:// inside a metastore: every path is a folder that is there, and nothing is ever touched.
// A metastore asks its file system only whether a database's or table's folder exists and makes it if not; objects need
// no folders. So the tests need none of the 281 MB of Hadoop's S3 client. It must not know what a table is.
import java.io.IOException;
import java.net.URI;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.util.Progressable;

public class ObjectStore extends FileSystem {
  private URI uri;
  private Path folder = new Path("/");

  @Override public void initialize(URI name, org.apache.hadoop.conf.Configuration conf) throws IOException {
    super.initialize(name, conf);
    setConf(conf);
    uri = URI.create(name.getScheme() + "://" + name.getAuthority());
  }

  @Override public String getScheme() { return uri.getScheme(); }
  @Override public URI getUri() { return uri; }
  @Override public boolean mkdirs(Path path, FsPermission permission) { return true; }
  @Override public FileStatus getFileStatus(Path path) { return new FileStatus(0, true, 1, 0, 0, path); }
  @Override public FileStatus[] listStatus(Path path) { return new FileStatus[0]; }
  @Override public boolean delete(Path path, boolean recursive) { return true; }
  @Override public Path getWorkingDirectory() { return folder; }
  @Override public void setWorkingDirectory(Path path) { folder = path; }

  @Override public FSDataInputStream open(Path path, int bufferSize) { throw refused("open", path); }
  @Override public boolean rename(Path from, Path to) { throw refused("rename", from); }
  @Override public FSDataOutputStream append(Path path, int size, Progressable p) { throw refused("append", path); }
  @Override public FSDataOutputStream create(Path path, FsPermission permission, boolean overwrite, int bufferSize,
      short replication, long blockSize, Progressable progress) { throw refused("create", path); }

  private static UnsupportedOperationException refused(String what, Path path) {
    return new UnsupportedOperationException("the tests' metastore does not " + what + " objects: " + path);
  }
}
