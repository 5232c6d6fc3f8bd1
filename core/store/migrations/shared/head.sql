CREATE SCHEMA IF NOT EXISTS it0_shared;
CREATE TABLE it0_shared.version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE it0_shared.inbox (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    tenant_id TEXT NOT NULL,
    installation_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    laned BOOLEAN NOT NULL,
    state TEXT DEFAULT 'new' NOT NULL,
    owner TEXT,
    attempts SMALLINT DEFAULT 0 NOT NULL,
    stop BOOLEAN DEFAULT false NOT NULL,
    accepted_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    done_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_inbox PRIMARY KEY (id),
    CONSTRAINT ck_inbox_state CHECK (state IN ('new', 'taken', 'done', 'set_aside')),
    CONSTRAINT uq_inbox_installation_id_event_id UNIQUE (installation_id, event_id)
);
CREATE INDEX ix_inbox_done ON it0_shared.inbox (done_at) WHERE state = 'done';
CREATE INDEX ix_inbox_lane ON it0_shared.inbox (tenant_id, conversation_id, id) WHERE state = 'new';
CREATE INDEX ix_inbox_new ON it0_shared.inbox (id) WHERE state = 'new';
CREATE INDEX ix_inbox_taken ON it0_shared.inbox (owner) WHERE state = 'taken';
CREATE TABLE it0_shared.lane (
    tenant_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    owner TEXT,
    fence BIGINT DEFAULT 1 NOT NULL,
    stop BOOLEAN DEFAULT false NOT NULL,
    since TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_lane PRIMARY KEY (tenant_id, conversation_id)
);
CREATE INDEX ix_lane_owner ON it0_shared.lane (owner) WHERE owner IS NOT NULL;
CREATE TABLE it0_shared.outbox (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    tenant_id TEXT NOT NULL,
    installation_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    state TEXT DEFAULT 'new' NOT NULL,
    owner TEXT,
    attempts SMALLINT DEFAULT 0 NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    error TEXT,
    sent_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_outbox PRIMARY KEY (id),
    CONSTRAINT ck_outbox_state CHECK (state IN ('new', 'taken', 'sent', 'set_aside')),
    CONSTRAINT uq_outbox_tenant_id_conversation_id_seq UNIQUE (tenant_id, conversation_id, seq)
);
CREATE INDEX ix_outbox_due ON it0_shared.outbox (due_at, id) WHERE state = 'new';
CREATE INDEX ix_outbox_head ON it0_shared.outbox (tenant_id, conversation_id, id) WHERE state IN ('new','taken');
CREATE INDEX ix_outbox_sent ON it0_shared.outbox (sent_at) WHERE state = 'sent';
CREATE INDEX ix_outbox_taken ON it0_shared.outbox (owner) WHERE state = 'taken';
CREATE TABLE it0_shared.process (
    id TEXT NOT NULL,
    role TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    beat_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_process PRIMARY KEY (id)
);
CREATE TABLE it0_shared.stranger (
    installation_id TEXT NOT NULL,
    external_id TEXT NOT NULL,
    told_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_stranger PRIMARY KEY (installation_id, external_id)
);
CREATE TABLE it0_shared.tenant (
    id TEXT NOT NULL,
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    owner_id TEXT,
    plan TEXT NOT NULL,
    status TEXT DEFAULT 'active' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_tenant PRIMARY KEY (id),
    CONSTRAINT ck_tenant_status CHECK (status IN ('active', 'suspended', 'deleted')),
    CONSTRAINT uq_tenant_slug UNIQUE (slug)
);
CREATE TABLE it0_shared.timer (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    tenant_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    ref TEXT NOT NULL,
    step INTEGER DEFAULT 0 NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE NOT NULL,
    state TEXT DEFAULT 'new' NOT NULL,
    owner TEXT,
    attempts SMALLINT DEFAULT 0 NOT NULL,
    CONSTRAINT pk_timer PRIMARY KEY (id),
    CONSTRAINT ck_timer_state CHECK (state IN ('new', 'taken', 'done', 'set_aside')),
    CONSTRAINT uq_timer_tenant_id_kind_ref_step UNIQUE (tenant_id, kind, ref, step)
);
CREATE INDEX ix_timer_due ON it0_shared.timer (due_at, id) WHERE state = 'new';
CREATE INDEX ix_timer_taken ON it0_shared.timer (owner) WHERE state = 'taken';
CREATE TABLE it0_shared.identity (
    installation_id TEXT NOT NULL,
    external_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_identity PRIMARY KEY (installation_id, external_id),
    CONSTRAINT fk_identity_tenant_id FOREIGN KEY(tenant_id) REFERENCES it0_shared.tenant (id)
);
CREATE INDEX ix_identity_tenant_id_user_id ON it0_shared.identity (tenant_id, user_id);
CREATE TABLE it0_shared.installation (
    id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    channel TEXT NOT NULL,
    name TEXT NOT NULL,
    sealed BYTEA,
    active BOOLEAN DEFAULT true NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_installation PRIMARY KEY (id),
    CONSTRAINT fk_installation_tenant_id FOREIGN KEY(tenant_id) REFERENCES it0_shared.tenant (id)
);
CREATE TABLE it0_shared.login_link (
    token_hash BYTEA NOT NULL,
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    used_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_login_link PRIMARY KEY (token_hash),
    CONSTRAINT fk_login_link_tenant_id FOREIGN KEY(tenant_id) REFERENCES it0_shared.tenant (id)
);
CREATE TABLE it0_shared.pairing_code (
    code_hash BYTEA NOT NULL,
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    used_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_pairing_code PRIMARY KEY (code_hash),
    CONSTRAINT fk_pairing_code_tenant_id FOREIGN KEY(tenant_id) REFERENCES it0_shared.tenant (id)
);
CREATE TABLE it0_shared.web_session (
    token_hash BYTEA NOT NULL,
    id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    csrf TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_web_session PRIMARY KEY (token_hash),
    CONSTRAINT fk_web_session_tenant_id FOREIGN KEY(tenant_id) REFERENCES it0_shared.tenant (id),
    CONSTRAINT uq_web_session_id UNIQUE (id)
);
CREATE INDEX ix_web_session_tenant_id_user_id ON it0_shared.web_session (tenant_id, user_id);
INSERT INTO it0_shared.version (version_num) VALUES ('0001') RETURNING it0_shared.version.version_num;
CREATE TABLE it0_shared.lease (
    name TEXT NOT NULL,
    owner TEXT NOT NULL,
    since TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_lease PRIMARY KEY (name)
);
ALTER TABLE it0_shared.outbox ADD COLUMN receipt JSONB;
ALTER TABLE it0_shared.identity ADD COLUMN home TEXT;
ALTER TABLE it0_shared.stranger ADD COLUMN name TEXT;
ALTER TABLE it0_shared.stranger ADD COLUMN language TEXT;
ALTER TABLE it0_shared.stranger ADD COLUMN home TEXT;
UPDATE it0_shared.version SET version_num='0002' WHERE it0_shared.version.version_num = '0001';
CREATE TABLE it0_shared.api_key (
    token_hash BYTEA NOT NULL,
    id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    prefix TEXT NOT NULL,
    made_by TEXT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    used_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_api_key PRIMARY KEY (token_hash),
    CONSTRAINT fk_api_key_tenant_id FOREIGN KEY(tenant_id) REFERENCES it0_shared.tenant (id),
    CONSTRAINT uq_api_key_id UNIQUE (id)
);
CREATE INDEX ix_api_key_tenant_id_user_id ON it0_shared.api_key (tenant_id, user_id);
UPDATE it0_shared.version SET version_num='0005' WHERE it0_shared.version.version_num = '0002';
CREATE FUNCTION it0_shared.tenant_deleted_at() RETURNS trigger LANGUAGE plpgsql AS
$$
BEGIN
  IF TG_OP = 'UPDATE' AND NEW.id <> OLD.id THEN
    RAISE EXCEPTION 'a tenant keeps its id';
  END IF;
  NEW.deleted_at := CASE
    WHEN NEW.status <> 'deleted' THEN NULL
    WHEN TG_OP = 'UPDATE' AND OLD.status = 'deleted' THEN OLD.deleted_at
    ELSE pg_catalog.now()
  END;
  RETURN NEW;
END
$$;
CREATE TRIGGER tenant_deleted_at BEFORE INSERT OR UPDATE ON it0_shared.tenant
FOR EACH ROW EXECUTE FUNCTION it0_shared.tenant_deleted_at();
CREATE FUNCTION it0_shared.drop_tenant(wanted text, keep_days integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '10s' AS
$$
DECLARE
  each name;
BEGIN
  PERFORM pg_advisory_xact_lock(6911024);
  PERFORM 1 FROM it0_shared.tenant
    WHERE id = wanted AND status = 'deleted'
      AND deleted_at <= now() - make_interval(days => greatest(keep_days, 7))
    FOR UPDATE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  EXECUTE format('DROP SCHEMA IF EXISTS %I CASCADE', 'it0_t_' || wanted);
  DELETE FROM it0_shared.stranger
    WHERE installation_id IN (SELECT id FROM it0_shared.installation WHERE tenant_id = wanted);
  FOR each IN
    SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'it0_shared'::regnamespace AND c.relkind = 'r'
      AND a.attname = 'tenant_id' AND NOT a.attisdropped
  LOOP
    EXECUTE format('DELETE FROM it0_shared.%I WHERE tenant_id = $1', each) USING wanted;
  END LOOP;
  DELETE FROM it0_shared.tenant WHERE id = wanted;
  RETURN true;
END
$$;
REVOKE ALL ON FUNCTION it0_shared.drop_tenant(text, integer) FROM PUBLIC;
UPDATE it0_shared.version SET version_num='0007' WHERE it0_shared.version.version_num = '0005';
CREATE TABLE it0_shared.passing (
    tenant_id TEXT NOT NULL,
    installation_id TEXT NOT NULL,
    thread TEXT NOT NULL,
    message_id BIGINT NOT NULL,
    conversation_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    CONSTRAINT pk_passing PRIMARY KEY (installation_id, thread, message_id)
);
CREATE INDEX ix_passing_owner ON it0_shared.passing (owner);
CREATE INDEX ix_outbox_receipt ON it0_shared.outbox USING gin (receipt jsonb_path_ops) WHERE receipt IS NOT NULL;
UPDATE it0_shared.version SET version_num='0008' WHERE it0_shared.version.version_num = '0007';
