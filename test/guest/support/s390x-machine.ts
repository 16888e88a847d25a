// What the machines of both s390x guests have in common.

/** QEMU's words for a machine without its devices, kernel and first file system. */
export function s390xWords(megabytes: number): string[] {
  // A server of vfio-user asks for the guest's memory; this is how QEMU can share it.
  const memory = `memory-backend-memfd,id=memory,size=${megabytes}M,share=on`;
  return [
    ...['-machine', 's390-ccw-virtio,memory-backend=memory', '-object', memory, '-m', String(megabytes)],
    // With one processor and no place for another, QEMU makes loads and stores of the guest's atomic instructions [11.1,
    // accel/tcg/tcg-accel-ops-mttcg.c, mttcg_start_vcpu_thread: CF_PARALLEL]. Where the guest's kernel takes an indicator of one
    // interrupt, that of another which a device sets between the two is lost, and its interrupt with it.
    ...['-cpu', 'max,zpci=on', '-smp', '1,maxcpus=2', '-nographic', '-no-reboot'],
  ];
}
