-- wrk's script: everybody asks for the same class once, through the gateway, as the front desk of the studio.
-- Arguments: studio, session, first client, requests, API key. Prints one line of JSON when all are answered, and ends then:
-- wrk itself would sleep until its time is up.
local ffi = require("ffi")
ffi.cdef("typedef struct { long s; long us; } moment; int gettimeofday(moment *now, void *zone);")

local NEVER = 3600 * 1000
function init(arguments)
   studio, session, first = arguments[1], arguments[2], tonumber(arguments[3])
   requests, key = tonumber(arguments[4]), arguments[5]
   booked, full, broken, sample = 0, 0, 0, ""
   let_through = 0
   -- wrk asks for one request beforehand, only to look at it.
   issued = -1
end

function now()
   local moment = ffi.new("moment")
   ffi.C.gettimeofday(moment, nil)
   return tonumber(moment.s) + tonumber(moment.us) / 1000000
end

function delay()
   began = began or now()
   -- Counted here: wrk may let many connections through before the first of them asks.
   if let_through == requests then return NEVER end
   let_through = let_through + 1
   return 0
end

function request()
   issued = issued + 1
   local number = math.max(issued, 1) - 1
   local headers = {
      ["Authorization"] = "Bearer " .. key,
      ["Content-Type"] = "application/json",
      ["Idempotency-Key"] = session .. number,
   }
   local body = string.format('{"classSession": "studios/%s/classSessions/%s", "client": "studios/%s/clients/00000000-0000-7000-8003-%d"}',
      studio, session, studio, first + number)
   return wrk.format("POST", "/v1/studios/" .. studio .. "/bookings", headers, body)
end

function response(status, headers, body)
   if status == 200 then booked = booked + 1
   elseif string.find(body, "SESSION_FULL", 1, true) then full = full + 1
   else
      broken = broken + 1
      sample = status .. " " .. string.gsub(body, '[%c"\\]', "'")
   end
   if booked + full + broken == requests then
      print(string.format('{"booked": %d, "full": %d, "broken": %d, "microseconds": %d, "sample": "%s"}',
         booked, full, broken, math.floor((now() - began) * 1000000), sample))
      io.stdout:flush()
      os.exit(0)
   end
end
