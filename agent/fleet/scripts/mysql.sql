-- An account that reads. As an administrator: mysql. It stays locked until you give it a password:
-- ALTER USER 'it0_ro'@'localhost' IDENTIFIED BY '…' ACCOUNT UNLOCK;
CREATE USER IF NOT EXISTS 'it0_ro'@'localhost' ACCOUNT LOCK;
ALTER USER 'it0_ro'@'localhost' WITH MAX_USER_CONNECTIONS 5;
GRANT SELECT, SHOW VIEW, PROCESS, REPLICATION CLIENT ON *.* TO 'it0_ro'@'localhost';
