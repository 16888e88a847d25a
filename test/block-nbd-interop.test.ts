// What libnbd can be asked to agree on, and what it makes of it: every way to begin, of a disk as it is and of the same disk over ISM.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { memoryDisk } from 'ismio/block';
import { exported, type Way } from './support/block.js';
import { nbdPython, ran } from './support/nbd.js';

const mebibyte = 2 ** 20;
const python = nbdPython();
const noPython = python === undefined && 'not installed: python3-libnbd';
/** Since libnbd 1.18. */
const noExtended =
  noPython ||
  (spawnSync(python as string, ['-c', 'import nbd; nbd.NBD.set_request_extended_headers']).status !== 0 &&
    'this libnbd has no extended headers');

/** Runs a program of libnbd's Python module to its end. */
async function told(program: string): Promise<void> {
  const { code, err, out } = await ran(python as string, '-c', `import nbd, os, random, socket, sys\n${program}`);
  assert.equal(code, 0, err + out);
}

/** All that can be done with an export, with what the reply to it has to be; `fill` is a byte of this round. */
const use = `
def use(h, fill, structured):
    size = h.get_size()
    assert size == ${4 * mebibyte}, size
    at, length = 4096 * fill + 511, 70001
    data = bytes([fill]) * length
    h.pwrite(data, at, nbd.CMD_FLAG_FUA)
    assert h.pread(length + 2, at - 1) == b"\\0" + data + b"\\0"
    assert h.can_df() == structured
    if structured:
        pieces = []
        h.pread_structured(length, at, lambda data, offset, status, error: pieces.append((offset, len(data), status)))
        assert pieces == [(at, length, nbd.READ_DATA)], pieces
        extents = []
        def extent(context, offset, entries, error):
            assert context == "base:allocation"
            extents.extend(entries)
        h.block_status(size, 0, extent)
        assert sum(extents[::2]) == size and set(extents[1::2]) == {0, 3}, extents
    assert h.can_meta_context("base:allocation") == structured
    h.zero(length, at)
    assert h.pread(length, at) == bytes(length)
    h.trim(size, 0)
    h.flush()
`;

for (const way of ['itself', 'vfio-user, by lanes'] satisfies Way[]) {
  describe(`libnbd with a disk ${way === 'itself' ? way : `over ISM (${way})`}`, {
    skip: noPython,
  }, () => {
    const size = 4 * mebibyte;

    test('newstyle with and without fixed, with and without zeroes, structured replies and simple ones', async (t) => {
      const { uri, server } = await exported(way, t, memoryDisk({ size }), { name: 'one' });
      await told(`${use}
fill = 0
for flags in range(4):
    for asked in (True, False):
        fill += 1
        h = nbd.NBD()
        h.set_handshake_flags(flags)
        h.set_request_structured_replies(asked)
        h.add_meta_context("base:allocation")
        h.connect_uri("${uri}")
        fixed = flags & nbd.HANDSHAKE_FLAG_FIXED_NEWSTYLE != 0
        assert h.get_protocol() == ("newstyle-fixed" if fixed else "newstyle"), h.get_protocol()
        assert h.get_structured_replies_negotiated() == (fixed and asked)
        use(h, fill, fixed and asked)
        if fixed:
            sizes = [h.get_block_size(i) for i in (nbd.SIZE_MINIMUM, nbd.SIZE_PREFERRED, nbd.SIZE_MAXIMUM)]
            assert sizes == [1, 4096, 32 << 20], sizes
        h.shutdown()
`);
      assert.deepEqual([server.stats().accepted, server.stats().broken, server.stats().failed], [8, 0, 0]);
    });

    test('options one by one: exports and contexts are listed, a name that is none can be followed by one that is', async (t) => {
      const options = { name: 'one', description: 'scratch' };
      const { uri, path, server } = await exported(way, t, memoryDisk({ size }), options);
      await told(`${use}
h = nbd.NBD()
h.set_opt_mode(True)
h.add_meta_context("base:allocation")
h.connect_unix("${path}")
exports = []
h.opt_list(lambda name, description: exports.append((name, description)))
assert exports == [("one", "scratch")], exports
h.set_export_name("two")
for ask in (h.opt_info, h.opt_go):
    try:
        ask()
        assert False
    except nbd.Error as error:
        assert error.errno == "ENOENT", error.errno
h.set_export_name("one")
contexts = []
h.opt_list_meta_context(contexts.append)
assert contexts == ["base:allocation"], contexts
h.opt_info()
assert h.get_size() == ${size}
h.opt_go()
use(h, 1, True)
h.shutdown()
h = nbd.NBD()
h.set_opt_mode(True)
h.connect_uri("${uri}")
h.opt_abort()
assert h.aio_is_closed()
`);
      assert.equal(server.stats().broken, 0);
    });

    test('extended headers: one extent, one request of zeros and one trim for 8 TiB', {
      skip: noExtended,
    }, async (t) => {
      const { uri, server } = await exported(way, t, memoryDisk({ size: 2 ** 43 }));
      await told(`
h = nbd.NBD()
h.add_meta_context("base:allocation")
h.connect_uri("${uri}")
assert h.get_extended_headers_negotiated()
def extents():
    found = []
    h.block_status_64(2 ** 43, 0, lambda context, offset, entries, error: found.extend(entries))
    return found
assert extents() == [(2 ** 43, 3)], extents()
h.pwrite(b"kept", 2 ** 42 + 5, nbd.CMD_FLAG_FUA)
assert h.pread(6, 2 ** 42 + 4) == b"\\0kept\\0"
assert [flags for length, flags in extents()] == [3, 0, 3], extents()
h.zero(2 ** 43 - 7, 7)
h.trim(2 ** 43, 0)
h.cache(2 ** 33, 0)
assert h.pread(6, 2 ** 42 + 4) == bytes(6)
h.shutdown()
`);
      assert.deepEqual([server.stats().failed, server.stats().broken], [0, 0]);
    });

    test('a client that is handed a socket which is connected', async (t) => {
      const { path } = await exported(way, t, memoryDisk({ size }));
      await told(`${use}
near = socket.socket(socket.AF_UNIX)
near.connect("${path}")
h = nbd.NBD()
h.add_meta_context("base:allocation")
h.connect_socket(near.detach())
use(h, 1, True)
h.shutdown()
`);
    });

    test('four connections with 64 requests in flight each: every block has what was written to it last', async (t) => {
      const { uri, server } = await exported(way, t, memoryDisk({ size }));
      await told(`
random.seed(1)
blocks = ${size} // 4096
last = {}
handles = []
for i in range(4):
    h = nbd.NBD()
    h.connect_uri("${uri}")
    assert h.can_multi_conn()
    handles.append(h)
for round in range(3):
    free = random.sample(range(blocks), 512)
    asked = []
    for _ in range(64):
        for h in handles:
            block = free.pop()
            last[block] = random.randbytes(4096)
            asked.append((h, h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(last[block])), block * 4096)))
    for h, cookie in asked:
        while not h.aio_command_completed(cookie):
            assert h.poll(30000) == 1
handles[0].flush()
for block, data in last.items():
    assert handles[block % 4].pread(4096, block * 4096) == data, block
for h in handles:
    h.shutdown()
`);
      assert.deepEqual([server.stats().failed, server.stats().broken], [0, 0]);
    });
  });
}
