// What Linux's ism driver calls in the place of a store block (PCISTB): stores of 1, 2, 4 and 8 bytes (PCISTG), because
// QEMU's functions refuse every store block that is shorter than 16 bytes, longer than 128, or not a multiple of 8.
//
// One block becomes many stores, so that two things are not those of the hardware: a block is not one transaction, and
// of a block with the signal bit only the last store has it. A signal for each store would tell the receiver of bytes
// that are still to come.
#pragma once

#include <linux/minmax.h>
#include <linux/unaligned.h>

#include <asm/pci_insn.h>

// In a request: which BAR (asm/pci_io.h, ZPCI_CREATE_REQ). In an offset in BAR 0: the signal bit (ism.h,
// ISM_CREATE_REQ).
#define ISMIO_REQUEST_BAR(request) (((request) >> 16) & 0xf)
#define ISMIO_REQUEST_LENGTH(request) ((request)&0xffff)
#define ISMIO_SIGNAL (1UL << 23)

static inline u64 ismio_word(const u8* data, unsigned int length) {
  switch (length) {
    case 1: return *data;
    case 2: return get_unaligned_be16(data);
    case 4: return get_unaligned_be32(data);
    default: return get_unaligned_be64(data);
  }
}

// Takes what __zpci_store_block takes, and answers what that answers.
static inline int ismio_store_words(const void* data, u64 request, u64 offset) {
  u64 function = request & ~0xffffUL;
  u64 signal = ISMIO_REQUEST_BAR(request) == 0 ? offset & ISMIO_SIGNAL : 0;
  unsigned int left = ISMIO_REQUEST_LENGTH(request);
  const u8* from = data;

  offset &= ~signal;
  while (left > 0) {
    // A store does not cross a multiple of 8.
    unsigned int length = min(rounddown_pow_of_two(left), 8U);

    while (offset % length != 0) length /= 2;
    left -= length;
    if (left == 0) offset |= signal;

    int status = __zpci_store(ismio_word(from, length), function | length, offset);
    if (status) return status;
    from += length;
    offset += length;
  }
  return 0;
}
