-- What a client is found by: the words of its name, its address, its number, each after a space and in small letters.
CREATE FUNCTION client_search_text_v1(display_name text, email text, phone text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT lower(' ' || translate(display_name, '-', ' ') || ' ' || coalesce(email, '') || ' ' || coalesce(phone, ''))
$$;
