/** Amounts in two columns (schema.ts, L1): `name_usd` and `name_pico`, amount = usd × 10^12 + pico. */
export const PICO_PER_USD = 1_000_000_000_000n

export function moneyColumns(names: readonly string[]): string[] {
  return names.flatMap((name) => [`${name}_usd`, `${name}_pico`])
}

/** The values of an amount's two columns. */
export function moneyValues(picoUsd: bigint): [bigint, bigint] {
  return [picoUsd / PICO_PER_USD, picoUsd % PICO_PER_USD]
}

/** For `ON CONFLICT DO UPDATE SET`: adds and carries. */
export function addMoney(names: readonly string[]): string {
  return names
    .flatMap((name) => [
      `${name}_usd = ${name}_usd + excluded.${name}_usd + (${name}_pico + excluded.${name}_pico) / ${PICO_PER_USD}`,
      `${name}_pico = (${name}_pico + excluded.${name}_pico) % ${PICO_PER_USD}`,
    ])
    .join(', ')
}

export function picoUsdOf<Name extends string>(
  row: Record<`${Name}_usd` | `${Name}_pico`, bigint>,
  name: Name,
): bigint {
  return row[`${name}_usd`] * PICO_PER_USD + row[`${name}_pico`]
}
