-- wrk's script: one booking after the other through the gateway, each with its own key, as the front desk of its studio.
-- Arguments: first number, seconds, studios, sessions, clients, file of API keys. Prints one line of JSON.
--
-- No request begins after the given seconds, so that wrk, which drops what it has in flight at its end, drops nothing.
local ffi = require("ffi")
ffi.cdef("typedef struct { long s; long us; } moment; int gettimeofday(moment *now, void *zone);")

local NEVER = 3600 * 1000
local BODY = '{"classSession": "studios/%s/classSessions/%s", "client": "studios/%s/clients/%s"}'
local threads = {}

function setup(thread)
   table.insert(threads, thread)
end

function init(arguments)
   number = tonumber(arguments[1])
   seconds = tonumber(arguments[2])
   studios, sessions, clients = tonumber(arguments[3]), tonumber(arguments[4]), tonumber(arguments[5])
   keys = {}
   for key in io.lines(arguments[6]) do table.insert(keys, key) end
   -- wrk asks for one request beforehand, only to look at it.
   issued = -1
end

function now()
   local moment = ffi.new("moment")
   ffi.C.gettimeofday(moment, nil)
   return tonumber(moment.s) + tonumber(moment.us) / 1000000
end

function id(kind, n)
   return string.format("00000000-0000-7000-800%d-%d", kind, 100000000000 + n)
end

function delay()
   ends = ends or now() + seconds
   return now() < ends and 0 or NEVER
end

function request()
   local studio, turn = number % studios, math.floor(number / studios)
   local session = turn % sessions
   local client = (math.floor(turn / sessions) + session) % clients
   local headers = {
      ["Authorization"] = "Bearer " .. keys[studio + 1],
      ["Content-Type"] = "application/json",
      ["Idempotency-Key"] = string.format("%d", number),
   }
   local name = id(1, studio)
   local body = string.format(BODY, name, id(2, studio * sessions + session), name, id(3, studio * clients + client))
   number = number + 1
   issued = issued + 1
   return wrk.format("POST", "/v1/studios/" .. name .. "/bookings", headers, body)
end

function done(summary, latency, requests)
   local errors = summary.errors
   print(string.format(
      '{"issued": %d, "answered": %d, "refused": %d, "broken": %d}',
      threads[1]:get("issued"), summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout
   ))
end
