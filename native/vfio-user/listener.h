// A socket with a name in the file system that clients connect to.
#pragma once

#include <memory>
#include <string>
#include <sys/stat.h>
#include <utility>

namespace ismio::vfio_user {

class Listener {
 public:
  struct Problem {
    const char* call = nullptr;
    int errorNumber = 0;
  };

  // Null, and what was refused in `problem`: EADDRINUSE where a server listens there, EEXIST where the name is that of
  // something else than a socket. A socket that nobody listens to any more is replaced. Nobody whom `mode` keeps out
  // can connect at any moment, whatever the umask of the process.
  static std::unique_ptr<Listener> open(const std::string& path, mode_t mode, Problem& problem);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  int socket() const { return socket_; }
  // Takes the name away, if it is still this socket's.
  void unlink();

 private:
  Listener(int socket, std::string path) : socket_(socket), path_(std::move(path)) {}
  bool bind(mode_t mode, Problem& problem);

  const int socket_;
  const std::string path_;
  bool bound_ = false;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace ismio::vfio_user
