CREATE SCHEMA IF NOT EXISTS :"schema";
CREATE TABLE :"schema".version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE :"schema".inbox (
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
CREATE INDEX ix_inbox_done ON :"schema".inbox (done_at) WHERE state = 'done';
CREATE INDEX ix_inbox_lane ON :"schema".inbox (tenant_id, conversation_id, id) WHERE state = 'new';
CREATE INDEX ix_inbox_new ON :"schema".inbox (id) WHERE state = 'new';
CREATE INDEX ix_inbox_taken ON :"schema".inbox (owner) WHERE state = 'taken';
CREATE TABLE :"schema".lane (
    tenant_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    owner TEXT,
    fence BIGINT DEFAULT 1 NOT NULL,
    stop BOOLEAN DEFAULT false NOT NULL,
    since TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_lane PRIMARY KEY (tenant_id, conversation_id)
);
CREATE INDEX ix_lane_owner ON :"schema".lane (owner) WHERE owner IS NOT NULL;
CREATE TABLE :"schema".outbox (
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
CREATE INDEX ix_outbox_due ON :"schema".outbox (due_at, id) WHERE state = 'new';
CREATE INDEX ix_outbox_head ON :"schema".outbox (tenant_id, conversation_id, id) WHERE state IN ('new','taken');
CREATE INDEX ix_outbox_sent ON :"schema".outbox (sent_at) WHERE state = 'sent';
CREATE INDEX ix_outbox_taken ON :"schema".outbox (owner) WHERE state = 'taken';
CREATE TABLE :"schema".process (
    id TEXT NOT NULL,
    role TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    beat_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_process PRIMARY KEY (id)
);
CREATE TABLE :"schema".stranger (
    installation_id TEXT NOT NULL,
    external_id TEXT NOT NULL,
    told_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_stranger PRIMARY KEY (installation_id, external_id)
);
CREATE TABLE :"schema".tenant (
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
CREATE TABLE :"schema".timer (
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
CREATE INDEX ix_timer_due ON :"schema".timer (due_at, id) WHERE state = 'new';
CREATE INDEX ix_timer_taken ON :"schema".timer (owner) WHERE state = 'taken';
CREATE TABLE :"schema".identity (
    installation_id TEXT NOT NULL,
    external_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_identity PRIMARY KEY (installation_id, external_id),
    CONSTRAINT fk_identity_tenant_id FOREIGN KEY(tenant_id) REFERENCES :"schema".tenant (id)
);
CREATE INDEX ix_identity_tenant_id_user_id ON :"schema".identity (tenant_id, user_id);
CREATE TABLE :"schema".installation (
    id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    channel TEXT NOT NULL,
    name TEXT NOT NULL,
    sealed BYTEA,
    active BOOLEAN DEFAULT true NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_installation PRIMARY KEY (id),
    CONSTRAINT fk_installation_tenant_id FOREIGN KEY(tenant_id) REFERENCES :"schema".tenant (id)
);
CREATE TABLE :"schema".login_link (
    token_hash BYTEA NOT NULL,
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    used_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_login_link PRIMARY KEY (token_hash),
    CONSTRAINT fk_login_link_tenant_id FOREIGN KEY(tenant_id) REFERENCES :"schema".tenant (id)
);
CREATE TABLE :"schema".pairing_code (
    code_hash BYTEA NOT NULL,
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    used_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_pairing_code PRIMARY KEY (code_hash),
    CONSTRAINT fk_pairing_code_tenant_id FOREIGN KEY(tenant_id) REFERENCES :"schema".tenant (id)
);
CREATE TABLE :"schema".web_session (
    token_hash BYTEA NOT NULL,
    id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    csrf TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_web_session PRIMARY KEY (token_hash),
    CONSTRAINT fk_web_session_tenant_id FOREIGN KEY(tenant_id) REFERENCES :"schema".tenant (id),
    CONSTRAINT uq_web_session_id UNIQUE (id)
);
CREATE INDEX ix_web_session_tenant_id_user_id ON :"schema".web_session (tenant_id, user_id);
INSERT INTO :"schema".version (version_num) VALUES ('0001') RETURNING :"schema".version.version_num;
CREATE TABLE :"schema".lease (
    name TEXT NOT NULL,
    owner TEXT NOT NULL,
    since TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_lease PRIMARY KEY (name)
);
ALTER TABLE :"schema".outbox ADD COLUMN receipt JSONB;
ALTER TABLE :"schema".identity ADD COLUMN home TEXT;
ALTER TABLE :"schema".stranger ADD COLUMN name TEXT;
ALTER TABLE :"schema".stranger ADD COLUMN language TEXT;
ALTER TABLE :"schema".stranger ADD COLUMN home TEXT;
UPDATE :"schema".version SET version_num='0002' WHERE :"schema".version.version_num = '0001';
