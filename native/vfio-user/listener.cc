#include "vfio-user/listener.h"

#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace ismio::vfio_user {
namespace {

// Others that open a socket in the same folder hold its lock for some system calls.
constexpr int kLockTries = 1000;
constexpr timespec kLockPause{0, 1'000'000};

int newSocket() { return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); }

// The lock of the folder of a path. Without it two servers could both find a name stale, and the second would take away
// what the first has bound.
class FolderLock {
 public:
  explicit FolderLock(const std::string& path) {
    const size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    descriptor_ = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor_ < 0) {
      refused_ = errno;
      return;
    }
    for (int i = 0; i < kLockTries; i++) {
      if (flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
      if (errno != EWOULDBLOCK && errno != EINTR) break;
      nanosleep(&kLockPause, nullptr);
    }
    refused_ = errno;
  }
  ~FolderLock() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  int refused() const { return refused_; }

 private:
  int descriptor_ = -1;
  int refused_ = 0;
};

// 0: the name is free now.
int clearStale(const std::string& path, const sockaddr_un& address) {
  struct stat status;
  if (lstat(path.c_str(), &status) != 0) return errno == ENOENT ? 0 : errno;
  if (!S_ISSOCK(status.st_mode)) return EEXIST;
  const int probe = newSocket();
  if (probe < 0) return errno;
  const int answer = connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
  close(probe);
  if (answer != ECONNREFUSED) return EADDRINUSE;  // also where its queue is full, or it is not ours to connect to
  return ::unlink(path.c_str()) == 0 ? 0 : errno;
}

}  // namespace

std::unique_ptr<Listener> Listener::open(const std::string& path, mode_t mode, Problem& problem) {
  const int made = newSocket();
  if (made < 0) {
    problem = {"socket", errno};
    return nullptr;
  }
  std::unique_ptr<Listener> listener(new Listener(made, path));
  return listener->bind(mode, problem) ? std::move(listener) : nullptr;
}

bool Listener::bind(mode_t mode, Problem& problem) {
  const auto refuse = [&problem](const char* call, int errorNumber) {
    problem = {call, errorNumber};
    return false;
  };
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path_.size() >= sizeof address.sun_path) return refuse("bind", ENAMETOOLONG);
  memcpy(address.sun_path, path_.data(), path_.size());
  const FolderLock lock(path_);
  if (lock.refused() != 0) return refuse("flock", lock.refused());
  if (const int taken = clearStale(path_, address); taken != 0) return refuse("bind", taken);
  // The name gets the rights of the socket, less the umask [Linux net/unix/af_unix.c, unix_bind_bsd]; what the umask
  // took away is given back behind it.
  if (fchmod(socket_, mode) != 0) return refuse("fchmod", errno);
  if (::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return refuse("bind", errno);
  bound_ = true;
  struct stat status;
  if (lstat(path_.c_str(), &status) != 0) return refuse("lstat", errno);
  device_ = status.st_dev;
  inode_ = status.st_ino;
  if ((status.st_mode & 07777) != mode && chmod(path_.c_str(), mode) != 0) return refuse("chmod", errno);
  return listen(socket_, SOMAXCONN) == 0 || refuse("listen", errno);
}

Listener::~Listener() {
  unlink();
  close(socket_);
}

// Where somebody has removed it meanwhile, nothing is to be done.
void Listener::unlink() {
  struct stat status;
  if (!std::exchange(bound_, false) || lstat(path_.c_str(), &status) != 0) return;
  if (status.st_dev == device_ && status.st_ino == inode_) ::unlink(path_.c_str());
}

}  // namespace ismio::vfio_user
