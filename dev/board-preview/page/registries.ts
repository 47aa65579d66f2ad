import {
  createTheme,
  dataLinksOverrideProcessor,
  displayNameOverrideProcessor,
  FieldConfigOptionsRegistry,
  type FieldConfigPropertyItem,
  identityOverrideProcessor,
  numberOverrideProcessor,
  standardTransformers,
  standardTransformersRegistry,
  stringOverrideProcessor,
  thresholdsOverrideProcessor,
  unitOverrideProcessor,
  valueMappingsOverrideProcessor,
} from '@grafana/data'

// Grafana's server registers these in code that is not in its npm packages; the processors themselves are.
const STANDARD = {
  unit: unitOverrideProcessor,
  min: numberOverrideProcessor,
  max: numberOverrideProcessor,
  decimals: numberOverrideProcessor,
  displayName: displayNameOverrideProcessor,
  noValue: stringOverrideProcessor,
  color: identityOverrideProcessor,
  thresholds: thresholdsOverrideProcessor,
  mappings: valueMappingsOverrideProcessor,
  links: dataLinksOverrideProcessor,
} as const

/** Defaults of the panel plugins themselves, for what a board leaves out. */
const CUSTOM: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  timeseries: {
    drawStyle: 'line',
    lineInterpolation: 'linear',
    lineWidth: 1,
    fillOpacity: 0,
    gradientMode: 'none',
    spanNulls: false,
    insertNulls: false,
    showPoints: 'auto',
    pointSize: 5,
    stacking: { mode: 'none', group: 'A' },
    axisPlacement: 'auto',
    axisLabel: '',
    axisColorMode: 'text',
    axisBorderShow: false,
    axisCenteredZero: false,
    scaleDistribution: { type: 'linear' },
    axisSoftMin: undefined,
    axisSoftMax: undefined,
    barAlignment: 0,
    barWidthFactor: 0.6,
    thresholdsStyle: { mode: 'off' },
    hideFrom: { tooltip: false, viz: false, legend: false },
  },
  table: {
    align: 'auto',
    cellOptions: { type: 'auto' },
    inspect: false,
    filterable: false,
    minWidth: 50,
    width: undefined,
  },
  stat: {},
}

export function fieldConfigOf(type: string): {
  registry: FieldConfigOptionsRegistry
  defaults: Record<string, unknown>
} {
  const item = (path: string, process: unknown, isCustom: boolean) =>
    ({
      id: isCustom ? `custom.${path}` : path,
      path,
      name: path,
      isCustom,
      process,
      override: () => null,
      editor: () => null,
      shouldApply: () => true,
    }) as unknown as FieldConfigPropertyItem
  const custom = CUSTOM[type] ?? {}
  return {
    registry: new FieldConfigOptionsRegistry(() => [
      ...Object.entries(STANDARD).map(([path, process]) => item(path, process, false)),
      ...Object.keys(custom).map((path) => item(path, identityOverrideProcessor, true)),
    ]),
    defaults: {
      color: { mode: type === 'timeseries' ? 'palette-classic' : 'thresholds' },
      thresholds: {
        mode: 'absolute',
        steps: [
          { value: null, color: 'green' },
          { value: 80, color: 'red' },
        ],
      },
      custom,
    },
  }
}

export function registerTransformers(): void {
  const { mergeTransformer, organizeFieldsTransformer, sortByTransformer } = standardTransformers
  standardTransformersRegistry.setInit(() =>
    [mergeTransformer, organizeFieldsTransformer, sortByTransformer].map((transformer) => ({
      id: transformer.id,
      name: transformer.name,
      transformation: () => Promise.resolve(transformer as never),
      editor: () => null,
      imageDark: '',
      imageLight: '',
    })),
  )
}

export const themeOf = (mode: 'dark' | 'light') => createTheme({ colors: { mode } })
