-- Finds active clients of one studio, best first: by the beginnings of words, else by likeness; by digits of the number.
--
-- SECURITY DEFINER, because under forced row level security no index serves LIKE or trigrams: these operators are not
-- leakproof, so the policy is checked on every row of the table first. It runs as the owner of the tables, whom a policy
-- lets read clients, and keeps studios apart itself: it refuses one that the transaction does not work in, each query
-- names it, and only ids come out, which the caller reads under its own policy.
CREATE FUNCTION search_clients_v1(p_tenant uuid, p_query text, p_limit integer) RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = public, pg_temp
SET plan_cache_mode = force_custom_plan
SET pg_trgm.word_similarity_threshold = 0.5 AS $$
DECLARE
    v_query text := btrim(lower(p_query));
    -- As people dial at home: +49 30 123456 is 030 123456.
    v_digits text := ltrim(regexp_replace(v_query, '\D', '', 'g'), '0');
    v_words text[];
    v_found uuid[];
BEGIN
    IF p_tenant <> ALL (current_setting('app.tenants')::uuid[]) THEN
        RAISE EXCEPTION 'this transaction works in another studio' USING ERRCODE = 'insufficient_privilege';
    END IF;

    IF v_query ~ '^[-+()/. 0-9]+$' AND length(v_digits) >= 3 THEN
        RETURN QUERY SELECT c.id FROM clients c
        WHERE c.tenant_id = p_tenant AND c.archive_time IS NULL
            AND client_search_text_v1(c.display_name, c.email, c.phone) LIKE '%' || v_digits || '%'
            AND c.phone LIKE '%' || v_digits || '%'
        ORDER BY c.phone LIKE '%' || v_digits DESC, c.display_name, c.id LIMIT p_limit;
        RETURN;
    END IF;

    IF position('@' IN v_query) = 0 THEN
        v_query := btrim(translate(v_query, '-', ' '));
    END IF;
    -- The longest first: it is the rarest, and the one that the index looks up.
    SELECT array_agg('% ' || regexp_replace(word, '([\\%_])', '\\\1', 'g') || '%' ORDER BY length(word) DESC) INTO v_words
    FROM regexp_split_to_table(v_query, '\s+') AS word WHERE word <> '';
    IF v_words IS NULL THEN RETURN; END IF;

    v_found := ARRAY(
        SELECT c.id FROM clients c
        WHERE c.tenant_id = p_tenant AND c.archive_time IS NULL
            AND client_search_text_v1(c.display_name, c.email, c.phone) LIKE v_words[1]
            AND client_search_text_v1(c.display_name, c.email, c.phone) LIKE ALL (v_words)
        ORDER BY starts_with(lower(c.display_name), v_query) DESC, c.display_name, c.id LIMIT p_limit);
    RETURN QUERY SELECT unnest(v_found);

    IF cardinality(v_found) < p_limit THEN
        RETURN QUERY SELECT c.id FROM clients c
        WHERE c.tenant_id = p_tenant AND c.archive_time IS NULL AND c.id <> ALL (v_found)
            AND v_query <% client_search_text_v1(c.display_name, c.email, c.phone)
        ORDER BY word_similarity(v_query, client_search_text_v1(c.display_name, c.email, c.phone)) DESC,
            c.display_name, c.id
        LIMIT p_limit - cardinality(v_found);
    END IF;
END $$;
