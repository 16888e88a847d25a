# The addon's sources and flags. Included by binding.gyp in a checkout and by `ismio build` in an installed package;
# paths are relative to this file.
{
  'targets': [
    {
      'target_name': 'ismio',
      'sources': [
        'addon.cc',
        'backend/emulated/emulated.cc',
        'backend/emulated/faults.cc',
        'backend/emulated/sparse.cc',
        'backend/file/file.cc',
        'backend/file/unmapped.cc',
        'backend/mapped/guard.cc',
        'backend/mapped/mapped.cc',
        'backend/mapped/watches.cc',
        'backend/vfio/vfio.cc',
        'binding/environment.cc',
        'binding/info.cc',
        'binding/memory.cc',
        'binding/queue.cc',
        'binding/region.cc',
        'binding/seal.cc',
        'binding/shard.cc',
        'binding/signal.cc',
        'binding/vfio.cc',
        'exec/executor.cc',
        'exec/issuer.cc',
        'exec/overlay.cc',
        'exec/queue.cc',
        'exec/rehearsal.cc',
        'insn/aarch64.cc',
        'insn/portable.cc',
        'insn/s390x.cc',
        'insn/x86_64.cc',
        'memory/memory.cc',
        'region/region.cc',
        'support/pages.cc',
        'vfio/kernel.cc',
      ],
      'include_dirs': ['.', "<!(node -p \"require('node-addon-api').include_dir\")"],
      'defines': ['NAPI_VERSION=8', 'NAPI_DISABLE_CPP_EXCEPTIONS', 'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS'],
      'cflags_cc!': ['-std=gnu++17', '-std=gnu++20'],
      # -fno-gnu-unique: two copies of the addon in one process share no state, not even that of inline functions.
      'cflags_cc': [
        '-std=c++20', '-Wall', '-Wextra', '-Werror', '-fvisibility=hidden', '-fno-gnu-unique',
      ],
      # nodelete: the SIGBUS handler and drain threads may outlive the Worker that loaded the addon.
      'ldflags': ['-Wl,-z,now', '-Wl,-z,nodelete'],
    },
  ],
}
