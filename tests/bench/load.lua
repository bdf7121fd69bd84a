-- What wrk asks a Grape, and which answers are right. One thread:
--
--   wrk -t1 -c CONNECTIONS -d TIME -s load.lua http://IP:PORT -- CASE PREFIX
--
-- PREFIX makes names and values new: another one for each run. Every answer is compared, and the
-- last line of output is JSON with their number, how many were wrong and one of those, what failed,
-- and the times that answers took, in microseconds.

-- For each case: the verb, the request's data by its number, and whether an answer is right.
local cases = {
  hot = {
    verb = "lookup",
    data = function() return '"hot"' end,
    right = function(body) return body == '["127.0.0.1:7001"]' end
  },
  lookup = {
    verb = "lookup",
    data = function(n) return '"nobody:' .. n .. '"' end,
    right = function(body) return body == "[]" end
  },
  announce_hot = {
    verb = "announce",
    data = function() return '["hot",7001]' end,
    right = function(body) return body == "2" end
  },
  announce = {
    verb = "announce",
    data = function(n) return '["new:' .. n .. '",7001]' end,
    right = function(body) return body == "2" end
  },
  put = {
    verb = "put",
    data = function(n) return '{"v":"value ' .. n .. '"}' end,
    right = function(body) return #body == 42 and body:find('^"%x+"$') ~= nil end
  },
  get = {
    verb = "get",
    data = function() return '"e28910ea0adb94dd45ced75fbff3e135c01bc437"' end,
    right = function(body) return body:find('"v":"hello"', 1, true) ~= nil end
  }
}

-- A name with many peers, all on 127.0.0.1 and at ports of five digits: 100 of them have a length
-- that is known. That they differ is seen of every 64th answer, since that takes far longer.
local answers = 0
local function hundred(body)
  answers = answers + 1
  if #body ~= 1801 then return false end
  if answers % 64 ~= 0 then return true end
  local seen, count = {}, 0
  for port in body:gmatch('"127%.0%.0%.1:(%d+)"') do
    if seen[port] then return false end
    seen[port] = true
    count = count + 1
  end
  return count == 100
end
for _, name in ipairs({ "crowd", "hundred" }) do
  cases[name] = {
    verb = "lookup",
    data = function() return '"' .. name .. '"' end,
    right = hundred
  }
end

-- As `done` reads it from the thread.
wrong, example = 0, ""

local case, head
local prefix, number = "", 0

local thread_of_load
function setup(thread)
  thread_of_load = thread
end

function init(arguments)
  case = cases[arguments[1]] or error("no case " .. tostring(arguments[1]))
  prefix = arguments[2]
  head = "POST /" .. case.verb .. " HTTP/1.1\r\nhost: grape\r\ncontent-length: "
end

function request()
  number = number + 1
  local body = '{"rid":"a-request","data":' .. case.data(prefix .. number) .. "}"
  return head .. #body .. "\r\n\r\n" .. body
end

function response(status, headers, body)
  if status ~= 200 or not case.right(body) then
    wrong = wrong + 1
    example = status .. " " .. body
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"answers":%d,"microseconds":%d,"wrong":%d,"example":%q,"failed":%d,"p50":%d,"p99":%d}\n',
    summary.requests, summary.duration,
    thread_of_load:get("wrong"), (thread_of_load:get("example"):sub(1, 200):gsub("[^%w%p ]", "?")),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99)
  ))
end
