// What really carries a socket of AF_SMC, as the kernel says it (SMC_DIAG, linux/smc_diag.h): an echo works over the
// fall back to TCP as well.
#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/smc_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct Mode {
  int mode;         // SMC_DIAG_MODE_.., -1 where the kernel names no such socket
  uint32_t reason;  // of a fall back, as in a decline [Linux net/smc/smc_clc.h]
  struct smcd_diag_dmbinfo dmb;
};

static const char* modeName(const struct Mode* mode) {
  switch (mode->mode) {
    case SMC_DIAG_MODE_SMCD: return "SMC-D";
    case SMC_DIAG_MODE_SMCR: return "SMC-R";
    case SMC_DIAG_MODE_FALLBACK_TCP: return "TCP";
    default: return "nothing known";
  }
}

static struct Mode modeIn(const struct nlmsghdr* message) {
  const struct smc_diag_msg* told = NLMSG_DATA(message);
  struct Mode mode = {.mode = told->diag_mode};
  const struct rtattr* one = (const struct rtattr*)(told + 1);
  int left = (int)(message->nlmsg_len - NLMSG_LENGTH(sizeof *told));
  for (; RTA_OK(one, left); one = RTA_NEXT(one, left)) {
    // Newer kernels say more behind what this knows.
    if (one->rta_type == SMC_DIAG_DMBINFO && RTA_PAYLOAD(one) >= sizeof mode.dmb)
      memcpy(&mode.dmb, RTA_DATA(one), sizeof mode.dmb);
    if (one->rta_type == SMC_DIAG_FALLBACK) memcpy(&mode.reason, RTA_DATA(one), sizeof mode.reason);
  }
  return mode;
}

// Of a socket that is connected. It is known by its own port.
static struct Mode modeOf(int socket_) {
  struct Mode mode = {.mode = -1};
  struct sockaddr_in own = {0};
  socklen_t length = sizeof own;
  if (getsockname(socket_, (struct sockaddr*)&own, &length) != 0) return mode;
  struct {
    struct nlmsghdr header;
    struct smc_diag_req request;
  } question = {
      .header = {.nlmsg_len = sizeof question,
                 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
      .request = {.diag_family = AF_SMC, .diag_ext = 1 << (SMC_DIAG_DMBINFO - 1)},
  };
  const int netlink = socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
  if (netlink < 0 || send(netlink, &question, sizeof question, 0) < 0) {
    close(netlink);
    return mode;
  }
  static _Alignas(struct nlmsghdr) char answer[32768];
  for (bool ended = false; !ended;) {
    const ssize_t got = recv(netlink, answer, sizeof answer, 0);
    if (got <= 0) break;
    unsigned int left = (unsigned int)got;
    for (const struct nlmsghdr* one = (const void*)answer; NLMSG_OK(one, left); one = NLMSG_NEXT(one, left)) {
      ended = one->nlmsg_type == NLMSG_DONE || one->nlmsg_type == NLMSG_ERROR;
      if (ended) break;
      const struct smc_diag_msg* told = NLMSG_DATA(one);
      if (told->id.idiag_sport == own.sin_port) mode = modeIn(one);
    }
  }
  close(netlink);
  return mode;
}
