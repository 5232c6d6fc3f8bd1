CREATE SCHEMA IF NOT EXISTS :"schema";
CREATE TABLE :"schema".version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE :"schema".approval (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    code TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    turn_id TEXT NOT NULL,
    step INTEGER NOT NULL,
    action TEXT NOT NULL,
    digest TEXT NOT NULL,
    nonce TEXT NOT NULL,
    level SMALLINT NOT NULL,
    reasons JSONB NOT NULL,
    part TEXT NOT NULL,
    rules TEXT NOT NULL,
    requester_id TEXT NOT NULL,
    needed SMALLINT DEFAULT 1 NOT NULL,
    approvals SMALLINT DEFAULT 0 NOT NULL,
    four_eyes BOOLEAN DEFAULT false NOT NULL,
    status TEXT DEFAULT 'pending' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    settled_at TIMESTAMP WITH TIME ZONE,
    settled_by TEXT,
    settled_event TEXT,
    CONSTRAINT pk_approval PRIMARY KEY (id),
    CONSTRAINT ck_approval_status CHECK (status IN ('pending', 'approved', 'rejected', 'expired', 'cancelled')),
    CONSTRAINT uq_approval_turn_id_step UNIQUE (turn_id, step)
);
CREATE INDEX ix_approval_conversation ON :"schema".approval (conversation_id);
CREATE INDEX ix_approval_created ON :"schema".approval (created_at);
CREATE INDEX ix_approval_pending ON :"schema".approval (expires_at) WHERE status = 'pending';
CREATE TABLE :"schema".audit (
    tenant_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    action TEXT NOT NULL,
    actor_type TEXT NOT NULL,
    actor_id TEXT,
    approver_id TEXT,
    resource_type TEXT DEFAULT '' NOT NULL,
    resource_id TEXT DEFAULT '' NOT NULL,
    channel TEXT,
    ip TEXT,
    detail JSONB NOT NULL,
    key TEXT,
    previous_hash BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    CONSTRAINT pk_audit PRIMARY KEY (seq),
    CONSTRAINT ck_audit_actor_type CHECK (actor_type IN ('agent', 'user', 'system')),
    CONSTRAINT uq_audit_key UNIQUE (key)
);
CREATE INDEX ix_audit_at ON :"schema".audit (at);
CREATE INDEX ix_audit_resource ON :"schema".audit (resource_type, resource_id, seq);
CREATE TABLE :"schema".conversation (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    channel TEXT NOT NULL,
    installation_id TEXT NOT NULL,
    thread TEXT NOT NULL,
    user_id TEXT,
    title TEXT DEFAULT '' NOT NULL,
    engine TEXT,
    status TEXT DEFAULT 'open' NOT NULL,
    last_seq BIGINT DEFAULT 0 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_conversation PRIMARY KEY (id),
    CONSTRAINT ck_conversation_status CHECK (status IN ('open', 'closed'))
);
CREATE INDEX ix_conversation_user_id_updated_at ON :"schema".conversation (user_id, updated_at);
CREATE UNIQUE INDEX uq_conversation_open_thread ON :"schema".conversation (installation_id, thread) WHERE status = 'open';
CREATE TABLE :"schema".credential (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    fingerprint TEXT DEFAULT '' NOT NULL,
    key_type TEXT DEFAULT '' NOT NULL,
    created_by TEXT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    used_at TIMESTAMP WITH TIME ZONE,
    expires_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_credential PRIMARY KEY (id),
    CONSTRAINT ck_credential_kind CHECK (kind IN ('ssh_key', 'ssh_password', 'token', 'kubeconfig'))
);
CREATE UNIQUE INDEX uq_credential_name ON :"schema".credential (name) WHERE revoked_at IS NULL;
CREATE TABLE :"schema".run (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    turn_id TEXT NOT NULL,
    approval_id TEXT,
    command TEXT NOT NULL,
    level SMALLINT NOT NULL,
    server_ids JSONB NOT NULL,
    requester_id TEXT NOT NULL,
    approver_id TEXT,
    state TEXT NOT NULL,
    owner TEXT,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_run PRIMARY KEY (id),
    CONSTRAINT ck_run_state CHECK (state IN ('running', 'done', 'unknown'))
);
CREATE INDEX ix_run_running ON :"schema".run (owner) WHERE state = 'running';
CREATE INDEX ix_run_started ON :"schema".run (started_at);
CREATE INDEX ix_run_turn_id ON :"schema".run (turn_id);
CREATE TABLE :"schema".secret_form (
    tenant_id TEXT NOT NULL,
    token_hash BYTEA NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    user_id TEXT NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    used_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_secret_form PRIMARY KEY (token_hash)
);
CREATE TABLE :"schema".setting (
    tenant_id TEXT NOT NULL,
    key TEXT NOT NULL,
    value JSONB NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    changed_by TEXT,
    CONSTRAINT pk_setting PRIMARY KEY (key)
);
CREATE TABLE :"schema".turn (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    user_id TEXT,
    engine TEXT NOT NULL,
    status TEXT NOT NULL,
    approval_id TEXT,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_turn PRIMARY KEY (id),
    CONSTRAINT ck_turn_status CHECK (status IN ('running', 'suspended', 'completed', 'failed', 'stopped'))
);
CREATE INDEX ix_turn_conversation_id_started_at ON :"schema".turn (conversation_id, started_at);
CREATE TABLE :"schema"."user" (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    language TEXT NOT NULL,
    active BOOLEAN DEFAULT true NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_user PRIMARY KEY (id),
    CONSTRAINT ck_user_language CHECK (language IN ('en', 'zh')),
    CONSTRAINT ck_user_role CHECK (role IN ('viewer', 'operator', 'admin')),
    CONSTRAINT uq_user_name UNIQUE (name)
);
CREATE TABLE :"schema".approval_place (
    tenant_id TEXT NOT NULL,
    approval_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    user_id TEXT,
    CONSTRAINT pk_approval_place PRIMARY KEY (approval_id, conversation_id, seq),
    CONSTRAINT fk_approval_place_approval_id FOREIGN KEY(approval_id) REFERENCES :"schema".approval (id)
);
CREATE TABLE :"schema".event (
    tenant_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    kind TEXT NOT NULL,
    turn_id TEXT,
    user_id TEXT,
    body JSONB NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_event PRIMARY KEY (conversation_id, seq),
    CONSTRAINT fk_event_conversation_id FOREIGN KEY(conversation_id) REFERENCES :"schema".conversation (id)
);
CREATE INDEX ix_event_turn ON :"schema".event (turn_id, seq) WHERE turn_id IS NOT NULL;
CREATE TABLE :"schema".run_target (
    tenant_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    server_id TEXT NOT NULL,
    server TEXT NOT NULL,
    state TEXT NOT NULL,
    exit_code INTEGER,
    duration_ms BIGINT,
    stdout TEXT DEFAULT '' NOT NULL,
    stderr TEXT DEFAULT '' NOT NULL,
    dropped BIGINT DEFAULT 0 NOT NULL,
    error JSONB,
    CONSTRAINT pk_run_target PRIMARY KEY (run_id, server_id),
    CONSTRAINT ck_run_target_state CHECK (state IN ('running', 'done', 'failed', 'stopped', 'timeout', 'unknown')),
    CONSTRAINT fk_run_target_run_id FOREIGN KEY(run_id) REFERENCES :"schema".run (id)
);
CREATE TABLE :"schema".server (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    connection TEXT DEFAULT 'ssh' NOT NULL,
    host TEXT NOT NULL,
    port INTEGER DEFAULT 22 NOT NULL,
    environment TEXT NOT NULL,
    role TEXT,
    ssh_user TEXT NOT NULL,
    credential_id TEXT,
    jump_server_id TEXT,
    ssh_options JSONB DEFAULT '{}' NOT NULL,
    tags JSONB DEFAULT '{}' NOT NULL,
    status TEXT DEFAULT 'active' NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    host_key TEXT,
    restricted BOOLEAN DEFAULT false NOT NULL,
    shell TEXT DEFAULT 'bash' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_server PRIMARY KEY (id),
    CONSTRAINT ck_server_connection CHECK (connection IN ('ssh', 'local')),
    CONSTRAINT ck_server_environment CHECK (environment IN ('dev', 'staging', 'prod')),
    CONSTRAINT ck_server_role CHECK (role IN ('web', 'db', 'cache', 'worker', 'gateway')),
    CONSTRAINT ck_server_shell CHECK (shell IN ('bash', 'sh')),
    CONSTRAINT ck_server_status CHECK (status IN ('active', 'untrusted', 'removed')),
    CONSTRAINT fk_server_credential_id FOREIGN KEY(credential_id) REFERENCES :"schema".credential (id),
    CONSTRAINT fk_server_jump_server_id FOREIGN KEY(jump_server_id) REFERENCES :"schema".server (id)
);
CREATE UNIQUE INDEX uq_server_name ON :"schema".server (name) WHERE status <> 'removed';
CREATE TABLE :"schema".vote (
    tenant_id TEXT NOT NULL,
    approval_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    verdict TEXT NOT NULL,
    channel TEXT NOT NULL,
    event_id TEXT NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_vote PRIMARY KEY (approval_id, user_id),
    CONSTRAINT ck_vote_verdict CHECK (verdict IN ('approve', 'reject')),
    CONSTRAINT fk_vote_approval_id FOREIGN KEY(approval_id) REFERENCES :"schema".approval (id)
);
ALTER TABLE :"schema".approval ADD CONSTRAINT ck_approval_tenant CHECK (tenant_id = :'tenant_id');
ALTER TABLE :"schema".audit ADD CONSTRAINT ck_audit_tenant CHECK (tenant_id = :'tenant_id');
ALTER TABLE :"schema".conversation ADD CONSTRAINT ck_conversation_tenant CHECK (tenant_id = :'tenant_id');
ALTER TABLE :"schema".credential ADD CONSTRAINT ck_credential_tenant CHECK (tenant_id = :'tenant_id');
ALTER TABLE :"schema".run ADD CONSTRAINT ck_run_tenant CHECK (tenant_id = :'tenant_id');
ALTER TABLE :"schema".secret_form ADD CONSTRAINT ck_secret_form_tenant CHECK (tenant_id = :'tenant_id');
ALTER TABLE :"schema".setting ADD CONSTRAINT ck_setting_tenant CHECK (tenant_id = :'tenant_id');
ALTER TABLE :"schema".turn ADD CONSTRAINT ck_turn_tenant CHECK (tenant_id = :'tenant_id');
ALTER TABLE :"schema"."user" ADD CONSTRAINT ck_user_tenant CHECK (tenant_id = :'tenant_id');
ALTER TABLE :"schema".approval_place ADD CONSTRAINT ck_approval_place_tenant CHECK (tenant_id = :'tenant_id');
ALTER TABLE :"schema".event ADD CONSTRAINT ck_event_tenant CHECK (tenant_id = :'tenant_id');
ALTER TABLE :"schema".run_target ADD CONSTRAINT ck_run_target_tenant CHECK (tenant_id = :'tenant_id');
ALTER TABLE :"schema".server ADD CONSTRAINT ck_server_tenant CHECK (tenant_id = :'tenant_id');
ALTER TABLE :"schema".vote ADD CONSTRAINT ck_vote_tenant CHECK (tenant_id = :'tenant_id');
CREATE FUNCTION :"schema".audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$;
CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON :"schema".audit
        FOR EACH STATEMENT EXECUTE FUNCTION :"schema".audit_is_append_only();
INSERT INTO :"schema".version (version_num) VALUES ('0001') RETURNING :"schema".version.version_num;
CREATE TABLE :"schema".usage (
    tenant_id TEXT NOT NULL,
    day DATE NOT NULL,
    engine TEXT NOT NULL,
    model TEXT NOT NULL,
    calls BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    micro_usd BIGINT NOT NULL,
    CONSTRAINT pk_usage PRIMARY KEY (day, engine, model)
);
ALTER TABLE :"schema".usage ADD CONSTRAINT ck_usage_tenant CHECK (tenant_id = :'tenant_id');
UPDATE :"schema".version SET version_num='0002' WHERE :"schema".version.version_num = '0001';
ALTER TABLE :"schema".run_target ADD COLUMN os_user TEXT DEFAULT '' NOT NULL;
ALTER TABLE :"schema".server ADD COLUMN read_user TEXT DEFAULT '' NOT NULL;
ALTER TABLE :"schema".server ADD COLUMN read_credential_id TEXT;
ALTER TABLE :"schema".server ADD COLUMN accounts JSONB DEFAULT '{}' NOT NULL;
ALTER TABLE :"schema".secret_form ADD COLUMN secret_expires_at TIMESTAMP WITH TIME ZONE;
ALTER TABLE :"schema".server ADD CONSTRAINT fk_server_read_credential_id FOREIGN KEY(read_credential_id) REFERENCES :"schema".credential (id);
UPDATE :"schema".version SET version_num='0003' WHERE :"schema".version.version_num = '0002';
CREATE TABLE :"schema".cluster (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    environment TEXT NOT NULL,
    entry_server_id TEXT,
    description TEXT DEFAULT '' NOT NULL,
    status TEXT DEFAULT 'active' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_cluster PRIMARY KEY (id),
    CONSTRAINT ck_cluster_kind CHECK (kind IN ('bare_metal', 'k8s', 'docker_swarm')),
    CONSTRAINT ck_cluster_environment CHECK (environment IN ('dev', 'staging', 'prod')),
    CONSTRAINT ck_cluster_status CHECK (status IN ('active', 'removed')),
    CONSTRAINT fk_cluster_entry_server_id FOREIGN KEY(entry_server_id) REFERENCES :"schema".server (id)
);
CREATE UNIQUE INDEX uq_cluster_name ON :"schema".cluster (name) WHERE status <> 'removed';
ALTER TABLE :"schema".server ADD COLUMN cluster_id TEXT;
ALTER TABLE :"schema".cluster ADD CONSTRAINT ck_cluster_tenant CHECK (tenant_id = :'tenant_id');
UPDATE :"schema".version SET version_num='0004' WHERE :"schema".version.version_num = '0003';
ALTER TABLE :"schema"."user" ADD COLUMN is_key BOOLEAN DEFAULT false NOT NULL;
UPDATE :"schema".version SET version_num='0005' WHERE :"schema".version.version_num = '0004';
ALTER TABLE :"schema".credential ADD COLUMN server TEXT DEFAULT '' NOT NULL;
ALTER TABLE :"schema".cluster ADD COLUMN credential_id TEXT;
ALTER TABLE :"schema".cluster ADD CONSTRAINT fk_cluster_credential_id FOREIGN KEY(credential_id) REFERENCES :"schema".credential (id);
UPDATE :"schema".version SET version_num='0006' WHERE :"schema".version.version_num = '0005';
CREATE TABLE :"schema".quiet_place (
    tenant_id TEXT NOT NULL,
    installation_id TEXT NOT NULL,
    thread TEXT NOT NULL,
    CONSTRAINT pk_quiet_place PRIMARY KEY (installation_id, thread)
);
ALTER TABLE :"schema".quiet_place ADD CONSTRAINT ck_quiet_place_tenant CHECK (tenant_id = :'tenant_id');
UPDATE :"schema".version SET version_num='0008' WHERE :"schema".version.version_num = '0006';
CREATE TABLE :"schema".file (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    name TEXT NOT NULL,
    content BYTEA NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_file PRIMARY KEY (id),
    CONSTRAINT fk_file_conversation_id FOREIGN KEY(conversation_id) REFERENCES :"schema".conversation (id)
);
CREATE INDEX ix_file_created_at ON :"schema".file (created_at);
ALTER TABLE :"schema".file ADD CONSTRAINT ck_file_tenant CHECK (tenant_id = :'tenant_id');
UPDATE :"schema".version SET version_num='0009' WHERE :"schema".version.version_num = '0008';
ALTER TABLE :"schema".approval ADD COLUMN seen JSONB DEFAULT '[]' NOT NULL;
ALTER TABLE :"schema".approval ADD COLUMN grant_minutes SMALLINT DEFAULT 0 NOT NULL;
ALTER TABLE :"schema".approval ADD COLUMN goes_ahead BOOLEAN DEFAULT false NOT NULL;
ALTER TABLE :"schema".vote ADD COLUMN grants BOOLEAN DEFAULT false NOT NULL;
CREATE TABLE :"schema".timed_grant (
    tenant_id TEXT NOT NULL,
    approval_id TEXT NOT NULL,
    given_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ends_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    ended_as TEXT,
    ended_by TEXT,
    CONSTRAINT pk_timed_grant PRIMARY KEY (approval_id),
    CONSTRAINT ck_timed_grant_ended_as CHECK (ended_as IN ('revoked', 'expired', 'void')),
    CONSTRAINT fk_timed_grant_approval_id FOREIGN KEY(approval_id) REFERENCES :"schema".approval (id)
);
CREATE INDEX ix_timed_grant_live ON :"schema".timed_grant (ends_at) WHERE ended_at IS NULL;
ALTER TABLE :"schema".timed_grant ADD CONSTRAINT ck_timed_grant_tenant CHECK (tenant_id = :'tenant_id');
UPDATE :"schema".version SET version_num='0011' WHERE :"schema".version.version_num = '0009';
CREATE TABLE :"schema".totp (
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    confirmed_at TIMESTAMP WITH TIME ZONE,
    last_step BIGINT DEFAULT 0 NOT NULL,
    failures SMALLINT DEFAULT 0 NOT NULL,
    locked_until TIMESTAMP WITH TIME ZONE,
    proven_until TIMESTAMP WITH TIME ZONE,
    asked_for TEXT,
    asked_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_totp PRIMARY KEY (user_id)
);
ALTER TABLE :"schema".totp ADD CONSTRAINT ck_totp_tenant CHECK (tenant_id = :'tenant_id');
UPDATE :"schema".version SET version_num='0012' WHERE :"schema".version.version_num = '0011';
CREATE TABLE :"schema".policy (
    tenant_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    document JSONB NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    changed_by TEXT,
    CONSTRAINT pk_policy PRIMARY KEY (version)
);
ALTER TABLE :"schema".policy ADD CONSTRAINT ck_policy_tenant CHECK (tenant_id = :'tenant_id');
ALTER TABLE :"schema".approval ADD COLUMN policy INTEGER DEFAULT 0 NOT NULL;
UPDATE :"schema".version SET version_num='0013' WHERE :"schema".version.version_num = '0012';
ALTER TABLE :"schema".totp ADD COLUMN asked_grants BOOLEAN DEFAULT false NOT NULL;
UPDATE :"schema".version SET version_num='0014' WHERE :"schema".version.version_num = '0013';
