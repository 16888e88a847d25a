# The floors that bench/ measures against. An installed package has them prebuilt; paths are relative to this file.
{
  'targets': [
    {
      'target_name': 'ismio_floors',
      'sources': [
        'floors.cc',
        'processes.cc',
        'shared_ring.cc',
        '../../native/insn/aarch64.cc',
        '../../native/insn/portable.cc',
        '../../native/insn/s390x.cc',
        '../../native/insn/x86_64.cc',
      ],
      'include_dirs': ['../../native', "<!(node -p \"require('node-addon-api').include_dir\")"],
      'defines': ['NAPI_VERSION=8', 'NAPI_DISABLE_CPP_EXCEPTIONS'],
      'cflags_cc!': ['-std=gnu++17', '-std=gnu++20'],
      'cflags_cc': ['-std=c++20', '-Wall', '-Wextra', '-Werror', '-fvisibility=hidden'],
    },
  ],
}
