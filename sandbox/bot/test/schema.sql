CREATE TABLE whatsapp_auth (
  company_id text PRIMARY KEY,
  creds jsonb NOT NULL,
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now()
);
CREATE TABLE whatsapp_keys (
  company_id text,
  key_type text,
  key_id text,
  value jsonb NOT NULL,
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now(),
  expires_at timestamptz,
  PRIMARY KEY (company_id, key_type, key_id)
);
CREATE FUNCTION cleanup_expired_whatsapp_keys() RETURNS TABLE (deleted_count bigint) LANGUAGE sql AS $$
  WITH deleted AS (DELETE FROM whatsapp_keys WHERE expires_at < now() RETURNING 1) SELECT count(*) FROM deleted
$$;
