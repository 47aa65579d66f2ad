/** Where the links of alerts lead: `GRAFANA_URL` and `RUNBOOKS_URL` of `npm run monitoring`, without a slash at the end. */
export interface Links {
  grafana: string
  /** A folder that has a page `<alert>.md` for each alert. */
  runbooks: string
}

export const DEFAULT_LINKS: Links = {
  grafana: 'http://localhost:3001',
  runbooks: 'https://github.com/kong-llm-observer/kong-llm-observer/blob/main/docs/runbooks',
}

/** Throws an Error that names the variable. */
export function linksOf(environment: Readonly<Record<string, string | undefined>>): Links {
  const read = (name: string, fallback: string) => {
    const text = environment[name]?.trim() ?? ''
    if (text === '') return fallback
    // A quote, a brace or a space would end the text in which the link stands, in YAML or in a template.
    if (!URL.canParse(text) || !/^https?:\/\/[^\s"'{}\\?#]+$/.test(text))
      throw new Error(`${name}: give an address as https://grafana.example.com, not ${JSON.stringify(text)}`)
    return text.replace(/\/+$/, '')
  }
  return {
    grafana: read('GRAFANA_URL', DEFAULT_LINKS.grafana),
    runbooks: read('RUNBOOKS_URL', DEFAULT_LINKS.runbooks),
  }
}

/** Loki's configuration and rules are written by hand; only their links are set. */
export function withLinks(yaml: string, { grafana, runbooks }: Links): string {
  return yaml
    .replace(/^( *runbook_url: *"?)\S*?\/(LLM\w+\.md)/gm, (_, before, page) => `${before}${runbooks}/${page}`)
    .replace(/^( *dashboard_url: *"?)\S*?(\/d\/llm-)/gm, (_, before, path) => `${before}${grafana}${path}`)
    .replace(/^( *external_url: *"?)[^\s"]*/gm, (_, before) => `${before}${grafana}`)
}
