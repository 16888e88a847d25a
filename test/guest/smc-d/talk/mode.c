// The question is a dump of all sockets of AF_SMC by netlink [Linux net/smc/smc_diag.c].
#include "mode.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

const char* modeName(struct Mode mode) {
  switch (mode.mode) {
    case SMC_DIAG_MODE_SMCD: return "SMC-D";
    case SMC_DIAG_MODE_SMCR: return "SMC-R";
    case SMC_DIAG_MODE_FALLBACK_TCP: return "TCP";
    default: return "nothing that the kernel names";
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
  }
  return mode;
}

static bool ask(int netlink) {
  struct {
    struct nlmsghdr header;
    struct smc_diag_req request;
  } question = {
      .header = {.nlmsg_len = sizeof question,
                 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
      .request = {.diag_family = AF_SMC, .diag_ext = 1 << (SMC_DIAG_DMBINFO - 1)},
  };
  return send(netlink, &question, sizeof question, 0) == (ssize_t)sizeof question;
}

struct Mode modeOf(int connected) {
  struct Mode mode = {.mode = -1};
  struct sockaddr_in own = {0};
  socklen_t length = sizeof own;
  const int netlink = socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
  static _Alignas(struct nlmsghdr) char answer[32768];
  bool more = netlink >= 0 && getsockname(connected, (struct sockaddr*)&own, &length) == 0 && ask(netlink);
  while (more) {
    const ssize_t got = recv(netlink, answer, sizeof answer, 0);
    if (got <= 0) break;
    unsigned int left = (unsigned int)got;
    for (const struct nlmsghdr* one = (const void*)answer; more && NLMSG_OK(one, left); one = NLMSG_NEXT(one, left)) {
      more = one->nlmsg_type != NLMSG_DONE && one->nlmsg_type != NLMSG_ERROR;
      const struct smc_diag_msg* told = NLMSG_DATA(one);
      if (more && told->id.idiag_sport == own.sin_port) mode = modeIn(one);
    }
  }
  if (netlink >= 0) close(netlink);
  return mode;
}
