-- The health of a GrapeCluster in Argo CD. docs/gitops.md says how to install it.

if obj.status == nil or obj.status.conditions == nil then
  return { status = "Progressing", message = "The operator has not seen this GrapeCluster yet." }
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "The operator has not seen the last change yet." }
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions) do
  conditions[condition.type] = condition
end
local function is(kind, status)
  return conditions[kind] ~= nil and conditions[kind].status == status
end

-- Nothing goes on until somebody changes something.
if is("Stalled", "True") then
  return { status = "Degraded", message = conditions.Stalled.message }
end
if conditions.Progressing ~= nil and conditions.Progressing.reason == "Paused" then
  return { status = "Suspended", message = conditions.Progressing.message }
end
if is("Ready", "True") then
  return { status = "Healthy", message = conditions.Ready.message }
end
-- These reasons do not end by waiting. All other reasons do, as a rule.
local lasting = {
  GrapesFailing = true,
  GrapesUnreachable = true,
  Partitioned = true,
  ProbesFailing = true,
}
if is("Ready", "False") and lasting[conditions.Ready.reason] then
  return { status = "Degraded", message = conditions.Ready.message }
end
if conditions.Ready ~= nil then
  return { status = "Progressing", message = conditions.Ready.message }
end
return { status = "Progressing", message = "The operator has not reported on this GrapeCluster yet." }
