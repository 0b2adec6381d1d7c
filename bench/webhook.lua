-- wrk's script: one webhook of the payment provider after the other, each once.
-- Arguments: seconds, file of signatures and bodies, a tab between them. Prints one line of JSON.
--
-- No request begins after the given seconds, so that wrk, which drops what it has in flight at its end, drops nothing.
local ffi = require("ffi")
ffi.cdef("typedef struct { long s; long us; } moment; int gettimeofday(moment *now, void *zone);")

local NEVER = 3600 * 1000
local threads = {}

function setup(thread)
   table.insert(threads, thread)
end

function init(arguments)
   seconds = tonumber(arguments[1])
   requests = {}
   for line in io.lines(arguments[2]) do
      local signature, body = line:match("^(.-)\t(.*)$")
      local headers = {["Stripe-Signature"] = signature, ["Content-Type"] = "application/json"}
      table.insert(requests, wrk.format("POST", "/webhooks/stripe", headers, body))
   end
   -- wrk asks for one request beforehand, only to look at it.
   issued = -1
end

function now()
   local moment = ffi.new("moment")
   ffi.C.gettimeofday(moment, nil)
   return tonumber(moment.s) + tonumber(moment.us) / 1000000
end

function delay()
   ends = ends or now() + seconds
   return now() < ends and 0 or NEVER
end

function request()
   issued = issued + 1
   return requests[issued + 1]
end

function done(summary, latency, requests)
   local errors = summary.errors
   print(string.format(
      '{"issued": %d, "answered": %d, "refused": %d, "broken": %d, "p99_ms": %f}',
      threads[1]:get("issued"), summary.requests, errors.status,
      errors.connect + errors.read + errors.write + errors.timeout,
      latency:percentile(99) / 1000
   ))
end
