// Errors of VFIO: what was asked, what the kernel answered, what to do.
import type { DescriptorHandle } from '../addon/handles.js';
import { type ErrorCode, type ErrorValues, IsmioError, systemError } from '../support/errors.js';
import { kernel } from './kernel.js';

/** What an errno means at a call, where it says more than its name. */
const meanings: Record<string, readonly [ErrorCode, string]> = {
  'open:ENOENT': ['ERR_ISMIO_NOT_BOUND', 'the function is not bound to a VFIO driver; "ismio bind" does that'],
  'open container:ENOENT': ['ERR_ISMIO_OPEN', 'the kernel offers no VFIO containers; load the module vfio'],
  'open iommufd:ENOENT': [
    'ERR_ISMIO_OPEN',
    "the kernel has no iommufd (CONFIG_IOMMUFD), or its module is not loaded; { api: 'group' } does without",
  ],
  'open:EBUSY': [
    'ERR_ISMIO_DEVICE_BUSY',
    'another process, or another handle of this one, has it open; a mapping of one of its regions keeps it open too',
  ],
  'open:EACCES': ['ERR_ISMIO_OPEN', 'no permission; give it to this user, for example with chown'],
  'open:EPERM': ['ERR_ISMIO_OPEN', 'no permission: an IOMMU group without IOMMU takes CAP_SYS_RAWIO'],
  'VFIO_GROUP_GET_STATUS:ENOTTY': ['ERR_ISMIO_NOT_A_DEVICE', 'this is no VFIO group'],
  'VFIO_GET_API_VERSION:ENOTTY': ['ERR_ISMIO_NOT_A_DEVICE', 'this is no VFIO container'],
  'VFIO_DEVICE_BIND_IOMMUFD:ENOTTY': ['ERR_ISMIO_NOT_A_DEVICE', 'this is no VFIO device'],
  'VFIO_DEVICE_BIND_IOMMUFD:EBUSY': [
    'ERR_ISMIO_DEVICE_BUSY',
    'the function is open through its group, or a mapping of one of its regions still lives',
  ],
  'VFIO_DEVICE_BIND_IOMMUFD:EINVAL': ['ERR_ISMIO_DEVICE_BUSY', 'the function is bound to an iommufd already'],
  'VFIO_GROUP_SET_CONTAINER:EBUSY': ['ERR_ISMIO_DEVICE_BUSY', 'the group has a container already'],
  'VFIO_GROUP_GET_DEVICE_FD:EBUSY': ['ERR_ISMIO_DEVICE_BUSY', 'the function is open already'],
  'VFIO_GROUP_GET_DEVICE_FD:ENODEV': ['ERR_ISMIO_NOT_BOUND', 'its group has no such function bound to a VFIO driver'],
  'VFIO_IOMMU_MAP_DMA:ENOSPC': [
    'ERR_ISMIO_DMA_LIMIT',
    'no more mappings are allowed (dma_entry_limit of the module vfio_iommu_type1); map fewer, larger buffers',
  ],
  'VFIO_IOMMU_MAP_DMA:ENOMEM': [
    'ERR_ISMIO_DMA_LIMIT',
    'it would pin more memory than this process may (ulimit -l, RLIMIT_MEMLOCK)',
  ],
  'VFIO_USER_DMA_MAP:ENODEV': ['ERR_ISMIO_REGION_LOST', 'the server is lost; open the device again'],
  'VFIO_USER_DMA_MAP:ENOSPC': [
    'ERR_ISMIO_DMA_LIMIT',
    'the server takes no more mappings (max_dma_maps); map fewer, larger buffers',
  ],
  'IOMMU_IOAS_MAP:ENOMEM': [
    'ERR_ISMIO_DMA_LIMIT',
    'it would pin more memory than this process may (ulimit -l, RLIMIT_MEMLOCK)',
  ],
  'VFIO_IOMMU_MAP_DMA:EEXIST': ['ERR_ISMIO_VFIO', 'something is mapped there already'],
  'VFIO_USER_DMA_MAP:EEXIST': ['ERR_ISMIO_VFIO', 'something is mapped there already'],
  'IOMMU_IOAS_MAP:EEXIST': ['ERR_ISMIO_VFIO', 'something is mapped there already'],
  'IOMMU_IOAS_MAP:EADDRINUSE': ['ERR_ISMIO_VFIO', 'something is mapped there already'],
  'mmap:ENOMEM': [
    'ERR_ISMIO_VFIO',
    'no address space is left, or this process has vm.max_map_count mappings; close regions',
  ],
  'VFIO_DEVICE_RESET:EINVAL': ['ERR_ISMIO_VFIO', 'the function has no way to be reset'],
  'VFIO_DEVICE_RESET:ENOTTY': ['ERR_ISMIO_VFIO', 'the function has no way to be reset'],
  'VFIO_DEVICE_SET_IRQS:EINVAL': [
    'ERR_ISMIO_VFIO',
    'the function cannot do that with these interrupts; another kind of them may be enabled',
  ],
};

/** The error for `call`, asked of `subject`, that answered -errno. `what` is the call with what it was made for. */
export function refused(
  call: string,
  answer: number,
  subject: string,
  values: ErrorValues = {},
  what: string = call,
): IsmioError {
  const cause = systemError(-answer, call);
  const otherwise: ErrorCode = call === 'open' ? 'ERR_ISMIO_OPEN' : 'ERR_ISMIO_VFIO';
  const known = meanings[`${what}:${cause.code}`] ?? meanings[`${call}:${cause.code}`];
  const [code, meaning] = known ?? [otherwise, undefined];
  // Whose the function is instead.
  const has =
    code === 'ERR_ISMIO_NOT_BOUND' && typeof values['driver'] === 'string' ? `; its driver is ${values['driver']}` : '';
  const text = `${subject}: ${call} answered ${cause.code}${meaning === undefined ? '' : `: ${meaning}`}${has}`;
  return new IsmioError(code, text, { ...values, call, errno: cause.code }, cause);
}

/** `answer` where it is one, thrown where it is an errno. */
export function checked<Answer extends number>(
  call: string,
  answer: Answer,
  subject: string,
  values: ErrorValues = {},
): Answer {
  if (answer < 0) throw refused(call, answer, subject, values);
  return answer;
}

/** The descriptor of a file of VFIO; what a refusal means depends on which it is. */
export function opened(
  what: 'group' | 'container' | 'device' | 'iommufd',
  path: string,
  values: ErrorValues = {},
): DescriptorHandle {
  const answer = kernel.open(path, what === 'device');
  if (answer < 0) throw refused('open', answer, path, { path, ...values }, `open ${what}`);
  return answer;
}
