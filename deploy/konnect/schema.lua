-- Schema of the plugin llm-observer, for control planes (hybrid mode, Konnect). Written by dev/build-plugin-description.ts.
local typedefs = require("kong.db.schema.typedefs")

return {
  name = "llm-observer",
  fields = {
    { protocols = typedefs.protocols_http },
    { config = {
      type = "record",
      fields = {
        { source = { type = "string", required = true, default = "auto", one_of = { "tap", "log", "auto" } } },
        { sidecar_url = { type = "string", required = true, default = "http://127.0.0.1:8086", referenceable = true, match_any = { patterns = { "^https?://[^%s?#@]+$", "^unix:/%S+$" }, err = "must be http://host:port, https://host:port or unix:/absolute/path" } } },
        { intake_token = { type = "string", required = false, referenceable = true, encrypted = true } },
        { sidecar_token = { type = "string", required = false, referenceable = true, encrypted = true } },
        { sidecar_ca = { type = "string", required = false, referenceable = true } },
        { sidecar_cert = { type = "string", required = false, referenceable = true } },
        { sidecar_key = { type = "string", required = false, referenceable = true, encrypted = true } },
        { content = { type = "string", required = true, default = "off", one_of = { "on", "off" } } },
        { max_content_bytes = { type = "integer", required = false, between = { 1024, 16777216 } } },
        { queue_bytes = { type = "integer", required = true, between = { 65536, 1073741824 }, default = 67108864 } },
        { batch_max_calls = { type = "integer", required = true, between = { 1, 10000 }, default = 100 } },
        { batch_max_bytes = { type = "integer", required = true, between = { 1024, 16777216 }, default = 1048576 } },
        { linger_ms = { type = "integer", required = true, between = { 0, 60000 }, default = 200 } },
        { send_timeout_ms = { type = "integer", required = true, between = { 50, 60000 }, default = 5000 } },
        { pdk_timeout_ms = { type = "integer", required = true, between = { 50, 55000 }, default = 5000 } },
      },
    } },
  },
}
