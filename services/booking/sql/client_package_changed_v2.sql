-- powerhouse.booking.v1.ClientPackageChanged in proto3 JSON.
CREATE FUNCTION client_package_changed_v2(p client_packages) RETURNS jsonb
LANGUAGE sql STABLE
RETURN jsonb_build_object(
    'clientPackageId', p.id, 'clientId', p.client_id, 'creditsLeft', p.credits_left, 'version', p.version::text
);
