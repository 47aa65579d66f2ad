import { dateMath, dateTime, type TimeRange } from '@grafana/data'
import { initPluginTranslations } from '@grafana/i18n'
import { GlobalStyles, PanelChrome, ThemeContext } from '@grafana/ui'
import { createRoot } from 'react-dom/client'
import type { Board, Panel } from './board.ts'
import { Body, type Drawn, isEmpty, prepare } from './panel.tsx'
import { chooseVariables, framesOf } from './queries.ts'
import { registerTransformers, themeOf } from './registries.ts'

declare global {
  interface Window {
    preview: { board: Board; theme: 'dark' | 'light'; from?: string; to: string; variables: Record<string, string> }
    /** Set once everything is drawn. */
    drawn?: { empty: string[]; failed: string[]; series: Record<string, number> }
  }
}

// Grafana's grid: 24 columns, rows of 30 pixels, 8 between; below 769 pixels panels stand under each other.
const CELL = 30
const GAP = 8
const COLUMNS = 24
const PADDING = 16
const NARROW = 769

const { board, theme: mode, from = board.time.from, to, variables } = window.preview
const theme = themeOf(mode)
const narrow = window.innerWidth < NARROW
const across = window.innerWidth - 2 * (narrow ? 8 : PADDING)
const column = (across - GAP * (COLUMNS - 1)) / COLUMNS

const now = dateTime(Date.now())
// The end first: a range that is a millisecond over a day gets dates on its axis.
const end = dateMath.toDateTime(to, { roundUp: true }) ?? now
const range: TimeRange = {
  from: dateMath.toDateTime(from, { roundUp: false }) ?? now,
  to: end,
  raw: { from, to },
}
const widthOf = ({ gridPos: { w } }: Panel) => (narrow ? across : column * w + GAP * (w - 1))
const heightOf = ({ gridPos: { h } }: Panel) => CELL * h + GAP * (h - 1)

await initPluginTranslations('board-preview', [])
registerTransformers()
const { chosen, interpolate } = await chooseVariables(board, range, variables)
const drawn: Drawn[] = await Promise.all(
  board.panels.map(async (panel) => {
    if (panel.type === 'row' || panel.type === 'logs') return { panel, frames: [] }
    try {
      const raw = await framesOf(panel, { range, width: widthOf(panel), interpolate })
      return { panel, frames: await prepare(panel, raw, theme, interpolate) }
    } catch (error) {
      return { panel, frames: [], error: String(error) }
    }
  }),
)

let below = 0
const placed = drawn.map((one) => {
  const { x, y } = one.panel.gridPos
  const top = narrow ? below : y * (CELL + GAP)
  below += heightOf(one.panel) + GAP
  return { one, left: narrow ? 0 : x * (column + GAP), top }
})
const tall = Math.max(...placed.map(({ one, top }) => top + heightOf(one.panel)))

function Page() {
  return (
    <ThemeContext.Provider value={theme}>
      <div style={{ padding: `12px ${narrow ? 8 : PADDING}px`, background: theme.colors.background.canvas }}>
        <header>
          <h1>{board.title}</h1>
          {chosen
            .filter(({ name }) => !name.endsWith('_datasource') && name !== 'langfuse_url')
            .map(({ name, label, text }) => (
              <span className="variable" key={name}>
                {label} <b>{text}</b>
              </span>
            ))}
          <span className="variable">
            {from} <b>to {to}</b>
          </span>
        </header>
        <main style={{ position: 'relative', height: tall }}>
          {placed.map(({ one, left, top }) => (
            <div key={one.panel.id} style={{ position: 'absolute', left, top }}>
              {one.panel.type === 'row' ? (
                <h2 style={{ width: across }}>⌄ {one.panel.title}</h2>
              ) : (
                <PanelChrome
                  title={one.panel.title}
                  {...(one.panel.description !== undefined && { description: one.panel.description })}
                  width={Math.floor(widthOf(one.panel))}
                  height={heightOf(one.panel)}
                  padding={one.panel.type === 'table' ? 'none' : 'md'}
                >
                  {(width, height) => (
                    <Body
                      drawn={one}
                      width={width}
                      height={height}
                      range={range}
                      theme={theme}
                      interpolate={interpolate}
                    />
                  )}
                </PanelChrome>
              )}
            </div>
          ))}
        </main>
        <footer>
          A preview: this board’s JSON drawn with Grafana’s component library (@grafana/ui 13.2.3), not Grafana itself.
          Made-up calls, counted by a real sidecar and a real Prometheus. Times are UTC.
        </footer>
      </div>
    </ThemeContext.Provider>
  )
}

const style = document.createElement('style')
style.textContent = `
  body { background: ${theme.colors.background.canvas}; color: ${theme.colors.text.primary}; margin: 0; height: auto; overflow: visible }
  #root { height: auto }
  canvas { letter-spacing: normal }
  header { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; margin-bottom: 12px }
  header h1 { font-size: 18px; font-weight: 500; margin: 0 16px 0 0 }
  main h2 { font-size: 16px; font-weight: 500; margin: 0; line-height: ${CELL}px }
  .variable { border: 1px solid ${theme.colors.border.medium}; border-radius: 3px; padding: 2px 8px; font-size: 12px; color: ${theme.colors.text.secondary} }
  .variable b { color: ${theme.colors.text.primary}; font-weight: 500; margin-left: 4px }
  .note { display: flex; align-items: center; justify-content: center; color: ${theme.colors.text.secondary}; font-size: 14px; text-align: center }
  footer { margin-top: 12px; font-size: 11px; color: ${theme.colors.text.secondary} }
`
document.head.append(style)
const root = createRoot(document.getElementById('root')!)
const settled = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))
// Axes are measured as they are drawn: the letters have to be there first, and to stay.
createRoot(document.head.appendChild(document.createElement('div'))).render(
  <ThemeContext.Provider value={theme}>
    <GlobalStyles />
  </ThemeContext.Provider>,
)
await settled()
await Promise.all(['400 12px Inter', '500 12px Inter'].map((font) => document.fonts.load(font)))
root.render(<Page />)
await settled()
await document.fonts.ready
await settled()
const asked = drawn.filter(({ panel }) => panel.type !== 'row' && panel.type !== 'logs')
window.drawn = {
  empty: asked.filter(({ frames, error }) => error === undefined && isEmpty(frames)).map(({ panel }) => panel.title),
  failed: asked.flatMap(({ panel, error }) => (error === undefined ? [] : [`${panel.title}: ${error}`])),
  series: Object.fromEntries(
    asked.filter(({ panel }) => panel.type === 'timeseries').map(({ panel, frames }) => [panel.title, frames.length]),
  ),
}
