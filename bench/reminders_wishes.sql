-- What is known of whom reminders go to, in notify's database: each studio's name, a hundred addresses that it does not
-- write to, and of every tenth client preferences, which let the reminder through.
TRUNCATE studios, address_keys, suppressions, client_preferences;
INSERT INTO studios (tenant_id, version, display_name, time_zone)
SELECT DISTINCT tenant_id, 1, 'Kiez Pilates', 'Europe/Berlin' FROM deliveries;
INSERT INTO address_keys (tenant_id, key) SELECT tenant_id, decode(repeat('ab', 32), 'hex') FROM studios;
INSERT INTO suppressions (tenant_id, channel, address_hash, reason, active, at)
SELECT tenant_id, 'email', decode(md5(n::text) || md5(n::text), 'hex'), 'bounced', true, now()
FROM studios, generate_series(1, 100) AS n;
INSERT INTO client_preferences (tenant_id, client_id, opt_outs, offsets, time_zone, language, version)
SELECT tenant_id, client_id, '{*/sms}', '{}', '', 'de', 1
FROM (SELECT DISTINCT tenant_id, client_id FROM deliveries WHERE channel = 'email') AS c
WHERE hashtext(client_id::text) % 10 = 0;
