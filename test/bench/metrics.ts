/** Figures by name, as one measurement gives them. */
export type Figures = Readonly<Partial<Record<MetricName, number>>>;

/** What is measured; times are seconds and sizes bytes until they are shown. */
export type MetricName = keyof typeof metrics;

/** How a figure is shown. */
export interface Metric {
  readonly title: string;
  /** What the figure is multiplied with to be shown. */
  readonly scale: number;
  /** Whether it means anything to divide it by that of another target. */
  readonly compared: boolean;
}

const mebibyte = 1 / 1024 / 1024;

/** All figures, in the order in which they are shown. */
export const metrics = {
  rate: { title: "requests/s", scale: 1, compared: true },
  p50: { title: "p50, ms", scale: 1000, compared: true },
  added: { title: "p50 over direct, ms", scale: 1000, compared: true },
  p99: { title: "p99, ms", scale: 1000, compared: true },
  cpu: {
    title: "CPU of the proxy for one request, µs",
    scale: 1e6,
    compared: true,
  },
  share: { title: "share of its CPU, %", scale: 100, compared: false },
  throughput: { title: "MB/s", scale: 1e-6, compared: true },
  time: { title: "ms", scale: 1000, compared: true },
  memory: { title: "most memory over idle, MiB", scale: mebibyte, compared: false },
  start: {
    title: "from its start to the first answer, ms",
    scale: 1000,
    compared: true,
  },
  idle: { title: "memory after it, MiB", scale: mebibyte, compared: true },
  size: { title: "size, MiB", scale: mebibyte, compared: true },
} as const satisfies Readonly<Record<string, Metric>>;

/** The names of all figures, in their order. */
export const metricNames = Object.keys(metrics).filter(isMetricName);

function isMetricName(name: string): name is MetricName {
  return name in metrics;
}
