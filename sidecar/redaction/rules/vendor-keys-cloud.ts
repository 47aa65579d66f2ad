import type { TokenRule } from '../rule.ts'
import { key, looksRandom } from './token-row.ts'

const AWS = 'https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html'
const AZURE = 'https://learn.microsoft.com/azure/key-vault/secrets'
const upperKey = '[A-Z0-9]{16,20}(?![A-Za-z0-9])'

/** Clouds, hosting and infrastructure. */
// biome-ignore format: one row a line
export const CLOUD_KEYS: readonly TokenRule[] = [
  ...['AKIA', 'ASIA', 'ABIA', 'ACCA'].map((start) => key(`aws-${start.toLowerCase()}`, `${start}${upperKey}`, `${start}{V16}`, AWS)),
  key('aws-a3t', 'A3T[A-Z0-9]{17}(?![A-Za-z0-9])', 'A3TX{V16}', AWS),
  key('aws-bedrock-long', 'ABSK[A-Za-z0-9+/]{100,200}={0,2}', 'ABSK{w128}', 'https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html'),
  key('aws-bedrock-short', 'bedrock-api-key-[A-Za-z0-9+/=]{32,4096}', 'bedrock-api-key-{w132}', 'https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html'),
  key('aws-session-token', 'IQoJb3JpZ2lu[A-Za-z0-9+/]{60,4096}={0,2}', 'IQoJb3JpZ2lu{w300}', 'https://docs.aws.amazon.com/STS/latest/APIReference'),
  key('aws-session-token-2', 'FwoGZXIvYXdz[A-Za-z0-9+/]{60,4096}={0,2}', 'FwoGZXIvYXdz{w300}', 'https://docs.aws.amazon.com/STS/latest/APIReference'),
  key('gcp-api-key', 'AIza[A-Za-z0-9_-]{30,60}', 'AIza{k35}', 'https://cloud.google.com/docs/authentication/api-keys'),
  key('gcp-express-key', 'AQ\\.Ab8R[A-Za-z0-9_-]{40,80}', 'AQ.Ab8R{k46}', 'https://cloud.google.com/vertex-ai/generative-ai/docs/start/express-mode'),
  key('google-access-token', 'ya29\\.[A-Za-z0-9_.-]{20,2048}', 'ya29.{k120}', 'https://developers.google.com/identity/protocols/oauth2'),
  key('google-access-token-2', 'ya29\\.c\\.[A-Za-z0-9_.-]{20,2048}', 'ya29.c.{k120}', 'https://developers.google.com/identity/protocols/oauth2'),
  key('google-refresh-token', '1//0[A-Za-z0-9_-]{30,200}', '1//0{k60}', 'https://developers.google.com/identity/protocols/oauth2'),
  key('google-client-secret', 'GOCSPX-[A-Za-z0-9_-]{20,60}', 'GOCSPX-{k28}', 'https://developers.google.com/identity/protocols/oauth2'),
  key('azure-sas', 'sig=[A-Za-z0-9%+/]{30,200}={0,2}', 'sig={w40}%2B{w3}%3D', 'https://learn.microsoft.com/rest/api/storageservices/create-service-sas', { kind: 'token' }),
  key('alibaba', 'LTAI[A-Za-z0-9]{12,24}(?![A-Za-z0-9])', 'LTAI{w20}', 'https://www.alibabacloud.com/help/ram'),
  key('tencent', 'AKID[A-Za-z0-9]{32}(?![A-Za-z0-9])', 'AKID{w32}', 'https://www.tencentcloud.com/document/product/598'),
  key('yandex-iam', 't1\\.[A-Za-z0-9_-]{5,512}={0,2}\\.[A-Za-z0-9_-]{86}={0,2}', 't1.{k200}.{k86}', 'https://yandex.cloud/docs/iam'),
  key('yandex-api', 'AQVN[A-Za-z0-9_-]{35,38}', 'AQVN{k35}', 'https://yandex.cloud/docs/iam'),
  key('yandex-static', 'YC[A-Za-z0-9_-]{38}(?![A-Za-z0-9_-])', 'YC{k38}', 'https://yandex.cloud/docs/iam', { check: looksRandom }),
  key('digitalocean', 'do[opr]_v1_[a-f0-9]{64}', 'dop_v1_{h64}', 'https://docs.digitalocean.com/reference/api', { starts: ['doo_v1_', 'dop_v1_', 'dor_v1_'], examples: ['dop_v1_{h64}', 'doo_v1_{h64}', 'dor_v1_{h64}'] }),
  key('databricks', 'dapi[a-f0-9]{32}(?:-\\d)?', 'dapi{h32}', 'https://docs.databricks.com/dev-tools/auth/pat.html'),
  key('databricks-secret', 'dose[a-f0-9]{32}', 'dose{h32}', 'https://docs.databricks.com/dev-tools/auth/oauth-m2m.html'),
  key('hashicorp-vault', 'hv[sbr]\\.[A-Za-z0-9_-]{24,400}', 'hvs.{k95}', 'https://developer.hashicorp.com/vault/docs/concepts/tokens', { starts: ['hvs.', 'hvb.', 'hvr.'], examples: ['hvs.{k95}', 'hvb.{k160}', 'hvr.{k95}', 'hvs.{w24}'] }),
  key('hashicorp-vault-old', 's\\.[A-Za-z0-9]{24}(?![A-Za-z0-9])', 's.{w24}', 'https://developer.hashicorp.com/vault/docs/concepts/tokens', { check: looksRandom }),
  key('cloudflare-origin-ca', 'v1\\.0-[a-f0-9]{24}-[a-f0-9]{100,160}', 'v1.0-{h24}-{h146}', 'https://developers.cloudflare.com/ssl/origin-configuration/origin-ca'),
  key('cloudflare-token', 'cf(?:ut|at|k)_[A-Za-z0-9_-]{40,80}', 'cfut_{w48}', 'https://developers.cloudflare.com/fundamentals/api', { starts: ['cfut_', 'cfat_', 'cfk_'] }),
  key('fly', 'fo1_[A-Za-z0-9_-]{43}', 'fo1_{k43}', 'https://fly.io/docs/security/tokens'),
  key('fly-macaroon', 'fm[12][ar]?_[A-Za-z0-9+/]{60,4096}={0,3}', 'fm2_{w120}', 'https://fly.io/docs/security/tokens', { starts: ['fm1a_', 'fm1r_', 'fm2_'] }),
  key('heroku', 'HRKU-[A-Za-z0-9_-]{36,80}', 'HRKU-AA{w58}', 'https://devcenter.heroku.com/articles/authentication'),
  key('scalingo', 'tk-us-[A-Za-z0-9_-]{48}', 'tk-us-{k48}', 'https://developers.scalingo.com'),
  key('planetscale', 'pscale_(?:tkn|oauth|pw)_[A-Za-z0-9_=.-]{32,64}', 'pscale_tkn_{w43}', 'https://planetscale.com/docs', { examples: ['pscale_tkn_{w43}', 'pscale_oauth_{w43}', 'pscale_pw_{w43}'] }),
  key('pulumi', 'pul-[a-f0-9]{40}', 'pul-{h40}', 'https://www.pulumi.com/docs'),
  key('doppler', 'dp\\.(?:pt|st|ct|sa|scim|audit)\\.[A-Za-z0-9._-]{36,100}', 'dp.pt.{w43}', 'https://docs.doppler.com', { examples: ['dp.pt.{w43}', 'dp.st.dev.{w43}'] }),
  key('openshift', 'sha256~[A-Za-z0-9_-]{43}', 'sha256~{k43}', 'https://docs.openshift.com'),
  key('dynatrace', 'dt0[a-z]\\d{2}\\.[A-Za-z0-9]{8,32}\\.[A-Za-z0-9]{64}', 'dt0c01.{V24}.{V64}', 'https://docs.dynatrace.com'),
  key('clickhouse-cloud', '4b1d[A-Za-z0-9]{38}(?![A-Za-z0-9])', '4b1d{w38}', 'https://clickhouse.com/docs/cloud'),
  key('supabase', 'sbp_[a-f0-9]{40}', 'sbp_{h40}', 'https://supabase.com/docs'),
  key('supabase-project', 'sb_(?:secret|publishable)_[A-Za-z0-9_-]{20,80}', 'sb_secret_{k31}', 'https://supabase.com/docs'),
  key('prefect', 'pn[ub]_[A-Za-z0-9]{36}', 'pnu_{w36}', 'https://docs.prefect.io', { starts: ['pnu_', 'pnb_'] }),
  key('vercel', 'v(?:cp|ci|ca|cr|ck)_[A-Za-z0-9]{24,80}', 'vcp_{w56}', 'https://vercel.com/docs', { starts: ['vcp_', 'vci_', 'vca_', 'vcr_', 'vck_'] }),
  key('netlify', 'nf[pcobu]_[A-Za-z0-9]{36,60}', 'nfp_{w36}', 'https://docs.netlify.com', { starts: ['nfp_', 'nfc_', 'nfo_', 'nfb_', 'nfu_'] }),
  key('render', 'rnd_[A-Za-z0-9]{28,40}', 'rnd_{w28}', 'https://render.com/docs'),
  key('tailscale', 'tskey-(?:api|auth|client|scim|webhook)-[A-Za-z0-9]{8,32}-[A-Za-z0-9]{20,64}', 'tskey-auth-{w12}CNTRL-{w32}', 'https://tailscale.com/kb'),
  key('ngrok', 'ak_[A-Za-z0-9]{25,40}', 'ak_{w27}', 'https://ngrok.com/docs', { check: looksRandom }),
  key('age', 'AGE-SECRET-KEY-1[A-Z0-9]{58}', 'AGE-SECRET-KEY-1{V58}', 'https://age-encryption.org', { kind: 'private_key' }),
  key('confluent', 'cflt[A-Za-z0-9+/]{50,70}', 'cflt{w60}', 'https://docs.confluent.io/cloud'),
  key('elastic-cloud', 'essu_[A-Za-z0-9+/]{50,120}={0,2}', 'essu_{w70}', 'https://www.elastic.co/guide/en/cloud'),
]

/** Azure's keys are known by what stands inside of them, at a place of its own. */
// biome-ignore format: one row a line
export const AZURE_SIGNATURES: readonly TokenRule[] = [
  { id: 'azure-ad-client-secret', kind: 'api_key', pattern: '[A-Za-z0-9_~.-]{3}\\dQ~[A-Za-z0-9_~.-]{31,34}(?![A-Za-z0-9_~-])', examples: ['{w3}8Q~{w34}', 'abc8Q~{k34}'], source: 'https://learn.microsoft.com/entra/identity-platform', added: '2026-11-28' },
  { id: 'azure-identifiable-key', kind: 'api_key', pattern: '[A-Za-z0-9]{52}JQQJ99[A-Z0-9][A-L][A-Za-z0-9]{16}[A-Za-z][A-Za-z0-9]{7}', examples: ['{w52}JQQJ99BA{w16}AAAB{w4}'], source: AZURE, added: '2026-11-28' },
  { id: 'azure-devops', kind: 'api_key', pattern: '[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}', examples: ['{w76}AZDO{w4}'], source: 'https://learn.microsoft.com/azure/devops', added: '2026-11-28' },
  { id: 'azure-storage', kind: 'api_key', pattern: '[A-Za-z0-9+/]{76}\\+ASt[A-Za-z0-9+/]{5}[AQgw]==', examples: ['{w76}+ASt{w5}Q=='], source: 'https://learn.microsoft.com/azure/storage', added: '2026-11-28' },
  { id: 'azure-short-key', kind: 'api_key', pattern: '[A-Za-z0-9+/]{33}(?:\\+A(?:Eh|Rm|Cs|IoT|SbE|SbC|SbN|Se|A)|AIoT|AzCa|ACDb|APIM)[A-Za-z0-9+/]{2,7}[AEIMQUYcgkosw048]=', examples: ['{w33}AIoTAA{w3}A=', '{w33}AzCaA{w4}A='], source: AZURE, added: '2026-11-28' },
  { id: 'azure-search-functions', kind: 'api_key', pattern: '[A-Za-z0-9_-]{42,44}Az(?:Se|Fu)[A-Za-z0-9_-]{4,8}={0,2}', examples: ['{w42}AzSeA{w5}', '{w44}AzFu{w6}=='], source: AZURE, added: '2026-11-28' },
  key('neon', 'napi_[a-z0-9]{40,80}', 'napi_{s64}', 'https://neon.com/docs/manage/api-keys'),
  key('zuplo', 'zpka_[a-z0-9]{32}_[a-f0-9]{8}', 'zpka_{h32}_{h8}', 'https://zuplo.com/docs'),
  key('exoscale', 'EXO[a-f0-9]{24}(?![A-Za-z0-9])', 'EXO{h24}', 'https://community.exoscale.com'),
  key('infisical-service', 'st\\.[a-f0-9]{24}\\.[a-f0-9]{32}\\.[a-f0-9]{32}', 'st.{h24}.{h32}.{h32}', 'https://infisical.com/docs'),
  key('docker-swarm', 'SWMTKN-1-[a-z0-9]{50}-[a-z0-9]{25}', 'SWMTKN-1-{s50}-{s25}', 'https://docs.docker.com/engine/swarm'),
  key('docker-swarm-unlock', 'SWMKEY-1-[A-Za-z0-9+/]{43}', 'SWMKEY-1-{w43}', 'https://docs.docker.com/engine/swarm'),
]
