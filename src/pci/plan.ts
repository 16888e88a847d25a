// What it takes to give a function to another driver, before any of it is done.

/** One write to sysfs. */
export interface Write {
  readonly file: string;
  readonly value: string;
}

export interface BindPlan {
  readonly bdf: string;
  readonly action: 'bind' | 'unbind';
  /** The driver that has the function before. */
  readonly from: string | null;
  /** The one that is to have it; null: whichever the kernel chooses. */
  readonly to: string | null;
  /** In this order. Empty where nothing is to be done. */
  readonly writes: readonly Write[];
  /** Why it had better not be done. */
  readonly uses: readonly string[];
}
