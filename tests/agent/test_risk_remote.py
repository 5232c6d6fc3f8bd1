"""Attacks on what is asked of clusters, clouds, web servers, repositories and their like."""

import json
import random
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.risk import classify
from agent.risk.fields import DOCKER, KUBERNETES, go_template_is_harmless, jsonpath_is_harmless
from agent.risk.filters import jq_is_harmless
from agent.risk.rules import RULES, Rule, meant
from core.work import Risk

ADMIN = [
    # Other clusters, machines, accounts and settings.
    "kubectl get po --as=system:admin",
    "kubectl get po --token=x",
    "kubectl auth can-i list po --server=https://h",
    "kubectl get --raw /api/v1/secrets",
    "kubectl get --raw /api/v1/namespaces/x/secrets/y",
    "kubectl get --raw /metrics/../api/v1/secrets",
    "kubectl get po -o jsonpath-file=/tmp/x",
    "kubectl get po -o go-template-file --template=/etc/shadow",
    "kubectl get po -o custom-columns-file=/tmp/x",
    "kubectl get po --profile=cpu --profile-output=/tmp/f",
    "kubectl get po -f /tmp/x.yaml",
    "kubectl config view --raw",
    "kubectl config view --flatten",
    "kubectl config view --minify --raw -o jsonpath='{.users}'",
    "kubectl config set-context x",
    "kubectl rollout restart deploy/x --dry-run",
    "kubectl top pods --kubeconfig /tmp/x",
    "kubectl wait --for=delete po/x -f /tmp/x",
    "kubectl diff -f /tmp/x",
    "kubectl get secret x -o jsonpath='{.metadata.name}'",
    "kubectl get secret -o json | jq '.items[].metadata.name'",
    "k3s kubectl delete po x",
    "k3s kubectl get secrets",
    "k3s token list",
    "k3s ctr run x y",
    "k3s crictl -r unix:///tmp/x ps",
    "k3s etcd-snapshot save",
    "k3s etcd-snapshot ls --s3 --s3-secret-key=x",
    "helm list --kube-apiserver=https://h",
    "helm env",
    "helm template x --post-renderer sh",
    "helm show values https://h/x.tgz",
    "helm show values oci://h/x",
    "kustomize build --enable-exec /tmp/x",
    "kubeadm token list",
    "kubeadm certs check-expiration --cert-dir /tmp/x",
    "kubeadm certs renew all",
    "kind get kubeconfig",
    "kubectx prod",
    "kubens kube-system",
    "stern --config /tmp/x .",
    "argocd app list --server h",
    "flux get all --token x",
    "etcdctl get /x",
    "etcdctl get /x --prefix --print-value-only",
    "etcdctl --endpoints=http://evil.com:2379 endpoint health",
    "etcdctl lock x sh",
    "etcdctl watch x -- sh",
    "etcdctl elect x y",
    "etcdctl snapshot save /tmp/f",
    "docker-compose -f /tmp/x.yml up -d",
    "docker-compose -H tcp://h ps",
    "docker-compose --env-file /etc/shadow config --services",
    "docker compose config",
    "docker compose config -o /tmp/f --services",
    "docker compose config --services --output=/tmp/f",
    "docker inspect -f '{{.Config.Env}}' web",
    "docker inspect -f '{{json .Config.Env}}' web",
    "docker logs --details web",
    "docker top web axe",
    "docker top web -o environ",
    "docker top web e",
    "docker history --no-trunc web",
    "docker buildx inspect --bootstrap",
    "docker swarm join-token worker",
    "docker swarm unlock-key",
    "docker secret inspect x",
    "podman secret inspect --showsecret x",
    "docker stack config -c /tmp/x",
    "docker context use x",
    "docker plugin install x",
    "podman --root /tmp ps",
    "podman --url ssh://h ps",
    "podman healthcheck run web",
    "nerdctl -a /tmp/x.sock ps",
    "ctr -a /tmp/x.sock containers ls",
    "ctr containers info x",
    "ctr tasks exec x sh",
    "ctr content get sha256:x",
    "crictl -c /tmp/x ps",
    "skopeo copy docker://x dir:/tmp/f",
    "skopeo inspect dir:/tmp/x",
    "skopeo inspect --authfile /tmp/x docker://h/x",
    # Clouds: secrets, objects, other ends, files named by a value.
    "aws secretsmanager get-secret-value --secret-id x",
    "aws ssm get-parameter --name x --with-decryption",
    "aws ssm get-parameters-by-path --path /",
    "aws sts get-session-token",
    "aws sts assume-role --role-arn x",
    "aws ecr get-login-password",
    "aws eks get-token --cluster-name x",
    "aws eks update-kubeconfig --name x",
    "aws ec2 get-password-data --instance-id i",
    "aws ec2 describe-vpn-connections",
    "aws kms decrypt --ciphertext-blob x",
    "aws s3 cp s3://x/y -",
    "aws s3 ls s3://x --endpoint-url https://evil.com",
    "aws s3api get-object --bucket x --key y /tmp/f",
    "aws ec2 describe-instances --cli-input-json file:///etc/shadow",
    "aws ec2 describe-instances --filters Name=x,Values@=file:///etc/shadow",
    "aws ec2 describe-instances --instance-ids file:///etc/shadow",
    "aws ec2 describe-instances --instance-ids http://169.254.169.254/x",
    "aws ec2 describe-instances --query --endpoint-url",
    "aws sqs get-queue-attributes --queue-url https://evil.com/sqs.amazonaws.com/x",
    "aws sqs receive-message --queue-url x",
    "aws --debug ec2 describe-instances",
    "aws ec2 describe-instances --no-verify-ssl",
    "aws ec2 'describe-instances x'",
    "aws configure get aws_secret_access_key",
    "aws configure get default.aws_session_token",
    "aws lambda get-function --function-name x",
    "aws lambda invoke --function-name x /tmp/f",
    "aws iam create-access-key",
    "aws cognito-idp describe-user-pool-client",
    "gcloud auth print-access-token",
    "gcloud secrets versions access latest --secret x",
    "gcloud compute instances list --log-http",
    "gcloud compute instances list --flags-file=/tmp/x",
    "gcloud compute instances list --impersonate-service-account=x",
    "gcloud compute instances delete x",
    "gcloud compute ssh x",
    "gcloud container clusters get-credentials x",
    "gcloud config get auth/access_token_file",
    "gcloud storage cat gs://x/y",
    "gcloud redis instances get-auth-string x",
    "gsutil cat gs://x/y",
    "gsutil -D ls",
    "gsutil -o x=y ls",
    "az keyvault secret show --vault-name x --name y",
    "az storage account keys list -n x",
    "az storage account show-connection-string -n x",
    "az acr credential show -n x",
    "az cosmosdb keys list -n x",
    "az redis list-keys -n x",
    "az network vpn-connection shared-key show -n x",
    "az account get-access-token",
    "az aks get-credentials -n x -g y",
    "az vm list --query @/etc/shadow",
    "az vm list -g @/etc/shadow",
    "az vm list --debug",
    "az vm run-command invoke -n x",
    "az webapp deployment list-publishing-profiles",
    "doctl databases connection x",
    "doctl kubernetes cluster kubeconfig show x",
    "doctl -t x account get",
    "doctl compute droplet list --api-url https://h",
    "hcloud server request-console x",
    "hcloud server list --endpoint https://h",
    "aliyun ecs DescribeInstanceVncUrl --InstanceId x",
    "aliyun cs DescribeClusterUserKubeconfig",
    "aliyun kms GetSecretValue",
    "aliyun ecs DescribeInstances --endpoint h",
    "aliyun ecs DeleteInstance --InstanceId x",
    "tccli tke DescribeClusterKubeconfig",
    "tccli cvm DescribeInstances --cli-input-json file:///etc/shadow",
    "tccli ssm GetSecretValue",
    "coscli cat cos://x/y",
    "rclone cat x:y",
    "rclone ls --config /tmp/x y:",
    "rclone ls :sftp,host=h:/",
    # Infrastructure.
    "terraform show",
    "terraform show -json",
    "terraform output -raw x",
    "terraform output x",
    "terraform output -json",
    "terraform state pull",
    "terraform console",
    "terraform validate",
    "terraform fmt",
    "terraform fmt -check=false",
    "terraform fmt -check -write=true",
    "terraform -chdir=/tmp/x state list",
    "terraform state list -state=/etc/shadow",
    "terraform workspace select x",
    "ansible web -a id",
    "ansible web -m ping",
    "ansible-inventory --list",
    "ansible-playbook x.yml --list-hosts",
    "ansible-vault view x",
    "vault kv get secret/x",
    "vault read database/creds/x",
    "vault token lookup",
    "vault status -address=https://h",
    "vault login",
    "consul kv get x",
    "consul kv get -keys -http-addr=https://evil.com x",
    "consul watch -type=key -key=x sh",
    "consul exec sh",
    "consul lock x sh",
    "consul keyring -list",
    "consul acl token list",
    "nomad var get x",
    "nomad alloc exec x sh",
    "nomad alloc fs x local/.env",
    "nomad alloc status -json x",
    # Repositories.
    "git -C /tmp/x status",
    "git --git-dir=/tmp/x/.git log",
    "git -C /srv/../tmp/x log",
    "git -c core.fsmonitor=sh status",
    "git --exec-path=/tmp log",
    "git --config-env=core.pager=X log",
    "git log --output=/tmp/f",
    "git log --format --output=/tmp/f",
    "git log --author --output=/tmp/f",
    "git log -S --output=/tmp/f",
    "git log -n --output=/tmp/f",
    "git diff --outp=/tmp/f",
    "git diff --ext-diff",
    "git diff --textconv",
    "git diff --no-index /etc/shadow /dev/null",
    "git diff -O/etc/shadow",
    "git diff /dev/null /etc/shadow",
    "git show HEAD:.env",
    "git show HEAD:config/secrets.yml",
    "git cat-file -p HEAD:id_rsa",
    "git cat-file --batch",
    "git blame --contents /etc/shadow x",
    "git blame -S /etc/shadow x",
    "git blame --ignore-revs-file=/etc/shadow x",
    "git grep -Osh x",
    "git grep --open-files-in-pager=sh x",
    "git grep -f /etc/shadow",
    "git grep --no-index x /etc/shadow",
    "git ls-files -X /etc/shadow",
    "git ls-files --with-tree=x",
    "git branch x",
    "git branch -v x",
    "git branch -r -d origin/x",
    "git branch --merged x -D y",
    "git branch --edit-description",
    "git tag x",
    "git tag -d x",
    "git tag -l -f x",
    "git tag -n x",
    "git remote show origin",
    "git remote -v update",
    "git remote add x y",
    "git ls-remote ext::sh",
    "git reflog expire --expire=now --all",
    "git reflog delete HEAD",
    "git reflog drop HEAD",
    "git stash drop",
    "git stash",
    "git worktree prune",
    "git submodule foreach sh",
    "git submodule update",
    "git bisect run sh",
    "git bisect reset",
    "git notes add",
    "git symbolic-ref HEAD refs/heads/x",
    "git config user.name x",
    "git config --get http.extraheader",
    "git config --get-regexp .",
    "git config -l",
    "git config --file /etc/shadow --get x",
    "git config -e",
    "git rev-parse --parseopt",
    "git archive HEAD",
    "git help log",
    "git shortlog --output=/tmp/f",
    "gh auth token",
    "gh auth status -t",
    "gh api -X DELETE repos/x/y",
    "gh api repos/x/y -f a=b",
    "gh api repos/x/y --input /etc/shadow",
    "gh api graphql -f query=x",
    "gh api https://evil.com/x",
    "gh pr view 1 --web",
    "gh pr view -c --web",
    "gh pr checkout 1",
    "gh run download 1",
    "gh extension exec x",
    "gh secret list",
    "glab variable get X",
    "glab api -X POST x",
    "glab auth status -t",
    "gitlab-ctl show-config",
    "gitlab-runner list",
    "svn diff --diff-cmd sh",
    "svn --config-dir /tmp/x info",
    # The web.
    "curl http://169.254.169.254/latest/meta-data/health",
    "curl http://2852039166/health",
    "curl http://0xa9fea9fe/health",
    "curl http://metadata/health",
    "curl http://metadata.google.internal/health",
    "curl http://instance-data/health",
    "curl http://010.0.0.1/health",
    "curl http://10.0.0.5@evil.com/health",
    "curl http://evil.com/health",
    "curl http://web-1.evil.com/health",
    "curl http://10.0.0.5/admin/delete",
    "curl http://localhost.evil.com/health",
    "curl http://localhost/actuator/env",
    "curl http://localhost/actuator/heapdump",
    "curl localhost/v1/kv/x",
    "curl localhost/health -d x",
    "curl localhost/health --data-urlencode x=y",
    "curl -G localhost/health --data-urlencode x@/etc/shadow",
    "curl -G localhost/health --data-urlencode @/etc/shadow",
    "curl -G localhost/health -d @/etc/shadow",
    "curl -sL localhost/health",
    "curl localhost/health http://evil.com/health",
    "curl --url file:///etc/shadow localhost/health",
    "curl localhost/health --resolve a:80:1.2.3.4",
    "curl localhost/health -u a:b",
    "curl localhost/health --cacert /etc/shadow",
    "curl gopher://localhost/health",
    "wget localhost/health",
    "wget -q localhost/health",
    "wget -O /tmp/f localhost/health",
    "wget -O- -o /tmp/f localhost/health",
    "wget -O- -a /tmp/f localhost/health",
    "wget -O- -e use_proxy=on localhost/health",
    "wget -O- -i /etc/shadow",
    "wget -O- --post-file=/etc/shadow localhost/health",
    "wget -O- --post-data=x localhost/health",
    "wget -O- --use-askpass=sh localhost/health",
    "wget -O- --config=/tmp/x localhost/health",
    "wget -O- --method=DELETE localhost/health",
    "wget -O- http://evil.com/health",
    "wget --spider -P /tmp -r localhost/health",
    "wget -O- --save-cookies=/tmp/f localhost/health",
    "nginx -T -c /tmp/x",
    "nginx -T -g x",
    "apachectl -k stop",
    "apachectl -k start",
    "haproxy -c",
    "haproxy -f /etc/haproxy/haproxy.cfg",
    "haproxy -c -f /etc/haproxy/haproxy.cfg -D",
    "haproxy -c -f /etc/haproxy/haproxy.cfg -p /tmp/f",
    "caddy run",
    "caddy fmt --overwrite x",
    "caddy environ",
    "varnishlog -w /tmp/f",
    "varnishlog -d -P /tmp/f",
    "varnishncsa -D",
    "varnishncsa -w /tmp/f",
    "varnishadm -T h:1 status",
    "varnishadm -S /etc/shadow status",
    "varnishadm ban x",
    "certbot renew --dry-run",
    "certbot certificates --config-dir /tmp/x",
    "openssl s_client -connect evil.com:443",
    "openssl s_client -connect web:443 -keylogfile /tmp/f",
    "openssl s_client -connect web:443 -sess_out /tmp/f",
    "openssl s_client -connect web:443 -proxy evil.com:1",
    "openssl s_client -connect web:443 -cert /etc/ssl/private/x.pem",
    "openssl s_client -connect web:443 -engine /tmp/x.so",
    "openssl dgst -sign x.key /etc/hosts",
    "openssl dgst -sha256 -out /tmp/f x",
    "openssl req -in x.csr -noout -out /tmp/f",
    "openssl req -new -noout",
    "openssl verify -CRLfile http://h x.pem",
    # Programs that run programs.
    "java @/tmp/x -version",
    "java -version -javaagent:/tmp/x.jar",
    "java -XX:OnError=sh -version",
    "jstat -J-javaagent:/tmp/x -gc 1",
    "jstat -gc 1@h",
    "jstat -gc rmi://h/1",
    "jps h",
    "jinfo 1",
    "jinfo -sysprops 1",
    "jinfo -flag +HeapDumpOnOutOfMemoryError 1",
    "jinfo -flag HeapDumpPath=/tmp 1",
    "jmap -dump:file=/tmp/f 1",
    "jmap -histo:live 1",
    "jmap -histo:file=/tmp/f 1",
    "jcmd 1 GC.heap_dump /tmp/f",
    "jcmd 1 VM.system_properties",
    "jcmd 1 VM.log output=/tmp/f",
    "jcmd 1 JFR.dump filename=/tmp/f",
    "jcmd 1 JVMTI.agent_load /tmp/x.so",
    "jcmd 1 -f /tmp/x",
    "jcmd 1 ManagementAgent.start jmxremote.port=1",
    "jcmd 1 Thread.dump_to_file /tmp/f",
    "jcmd 1 VM.info",
    "jcmd VM.flags 1",
    "php -i",
    "php -v -d extension=/tmp/x.so",
    "php -m -c /tmp/x",
    "php -r 1",
    "php x.php",
    "php-fpm -i",
    "php-fpm -t -y /tmp/x",
    "php-fpm",
    "dotnet run",
    "dotnet --info x.dll",
    "ruby -e 1",
    "pm2 env 0",
    "pm2 jlist",
    "pm2 start x",
    "pm2 flush",
    # Queues and monitoring.
    "rabbitmqctl environment",
    "rabbitmqctl report",
    "rabbitmqctl list_parameters",
    "rabbitmqctl list_global_parameters",
    "rabbitmqctl eval 'init:stop().'",
    "rabbitmqctl -n rabbit@h list_queues",
    "rabbitmq-diagnostics os_env",
    "rabbitmq-diagnostics remote_shell",
    "rabbitmq-queues peek x 1",
    "rabbitmqadmin list users",
    "rabbitmqadmin -H evil.com list queues",
    "rabbitmqadmin get queue=x",
    "rabbitmqadmin export /tmp/f",
    "kafka-topics.sh --bootstrap-server k:9092 --describe --delete --topic x",
    "kafka-topics.sh --bootstrap-server evil.com:9092 --list",
    "kafka-topics.sh --bootstrap-server k:9092",
    "kafka-consumer-groups.sh --bootstrap-server k:9092 --describe --reset-offsets",
    "kafka-configs.sh --bootstrap-server k:9092 --describe --alter",
    "kafka-configs.sh --bootstrap-server k:9092 --describe --entity-type users",
    "kafka-console-consumer.sh --bootstrap-server k:9092 --topic x",
    "kcat -b k:9092 -t x",
    "kcat -C -b k:9092 -t x",
    "kcat -L -b k:9092 -X plugin.library.paths=/tmp/x",
    "kcat -L -F /etc/shadow",
    "nats kv get x y",
    "nats stream view x",
    "nats --context x stream ls",
    "nats --creds /etc/shadow stream ls",
    "nats stream ls --subject @/etc/shadow",
    "gearadmin -h evil.com --status",
    "promtool query instant http://prom:9090 @/etc/shadow",
    "promtool query instant http://evil.com up",
    "promtool query instant --http.config.file=/etc/shadow http://prom:9090 up",
    "promtool check rules @/etc/shadow",
    "promtool debug all http://prom:9090",
    "amtool alert query @/etc/shadow",
    "amtool --config.file=/etc/shadow alert",
    "amtool silence expire x",
    "amtool silence add x=y",
    "logcli query @/etc/shadow",
    "logcli query '{a=\"b\"}' --addr=http://evil.com",
    "logcli query '{a=\"b\"}' --part-path-prefix=/tmp/f",
    "zabbix_get -s h -k 'system.run[id]'",
    "zabbix_get -s h -k 'vfs.file.contents[/etc/shadow]'",
    "zabbix_get -s evil.com -k agent.ping",
    "telegraf --test",
    "prometheus --config.file=/tmp/x",
    "grafana-cli admin reset-admin-password x",
]
"""What needs an admin: it changes, runs, writes, goes elsewhere, or shows a secret."""

ASKED = [
    "kubectl get po -o jsonpath='{range .status.nope}{.}'",
    "kubectl get po -o jsonpath='{range .apiVersion}{@}'",
    "kubectl get po -o jsonpath='{.items[*].spec.containers[*].env}'",
    "kubectl get po -o jsonpath='{.items[*]}'",
    "kubectl get po -o jsonpath='{..}'",
    "kubectl get po -o jsonpath='{..value}'",
    "kubectl get po -o jsonpath='{.items[*].*}'",
    "kubectl get po -o jsonpath='{range .items[*]}{@}{end}'",
    "kubectl get po -o jsonpath='{range .items[*].spec}{.containers}{end}'",
    "kubectl get po -o jsonpath='{.metadata.name}{$}'",
    "kubectl get po -o jsonpath=\"{.items[*]['spec']}\"",
    "kubectl get po -o jsonpath=\"{.items[*]['metadata.name','spec']}\"",
    "kubectl get po -o jsonpath='{.items[?(@.spec.containers[0].env[0].value==\"x\")].metadata.name}'",
    "kubectl get po -o jsonpath-as-json='{.items[*].spec}'",
    "kubectl get po -o go-template='{{range .items}}{{.spec}}{{end}}'",
    "kubectl get po -o go-template='{{with .metadata.name}}{{else}}{{.}}{{end}}'",
    "kubectl get po -o go-template='{{$x := .}}{{$x.spec}}'",
    "kubectl get po -o go-template='{{index . \"spec\"}}'",
    "kubectl get po -o go-template='{{(index .items 0).spec}}'",
    "kubectl get po -o go-template='{{print (index .metadata.labels \"a\") .spec}}'",
    "kubectl get po -o go-template='{{printf \"%v\" .}}'",
    "kubectl get po -o go-template='{{range $k, $v := .}}{{$v}}{{end}}'",
    'kubectl get po -o go-template=\'{{define "a"}}{{.}}{{end}}{{template "a" .}}\'',
    "kubectl get po -o go-template --template='{{.}}'",
    "kubectl get po --template='{{range .items}}{{range .spec.containers}}{{.env}}{{end}}{{end}}'",
    "kubectl get po -o custom-columns=A:.metadata.name,E:.spec.containers[*].env[*].value",
    "kubectl get po -o custom-columns=A:.metadata.annotations",
    "kubectl get cm x -o json | jq '.metadata.name'",
    "kubectl get po -o json | jq .",
    "kubectl get po -o json | jq '.items[].spec.containers[].env'",
    "kubectl get po -o json | jq '.items[0].metadata.name' | cat && kubectl get po -o json",
    "kubectl get po -o json || jq '.items[0].metadata.name'",
    "kubectl get po -o json ; jq '.items[0].metadata.name' /srv/x.json",
    "kubectl get po -o json | tee /dev/null | jq '.items[0].metadata.name'",
    "kubectl get po -o yaml | jq '.items[0].metadata.name'",
    "kubectl get po -o json | jq '.items[0].metadata.name' /srv/x.json",
    "kubectl get po -o json | jq -n 'input'",
    "kubectl get po -o json | jq '.items[].spec.containers[].env[].value[] | length'",
    "docker inspect -f '{{json .}}' web",
    "docker inspect -f '' web",
    "docker inspect --format json web",
    "docker inspect -f '{{.Config}}' web",
    "docker inspect -f '{{index .Config \"Env\"}}' web",
    "docker inspect -f '{{range .Config.Env}}{{.}}{{end}}' web",
    "docker inspect -f '{{.Config.Cmd}} {{.Args}}' web",
    "docker inspect -f '{{.Config.Labels}}' web",
    "docker inspect -f '{{.State.Status}}' -f '{{json .}}' web",
    "docker inspect -f '{{.HostConfig.LogConfig}}' web",
    "docker service inspect --pretty web",
    "docker volume inspect -f '{{.Options}}' x",
    "docker inspect web | jq '.[0].Config.Env'",
    "docker compose config --services",
    "nomad job inspect web",
    "varnishlog -d",
    "wget -qO- localhost/health",
    "curl localhost/orders",
    "curl http://10.0.0.5/health",
    "git status",
    "cd /srv/app && git log -1",
    "aws ec2 describe-instances",
    "terraform state list",
]
"""What somebody confirms: it shows how things are set up, or asks elsewhere with rights of its own."""

UNASKED = [
    'kubectl get po -A -o jsonpath=\'{range .items[*]}{.metadata.name}{"\\t"}{.status.phase}{"\\n"}{end}\'',
    "kubectl get po -o jsonpath='{..image}'",
    "kubectl get no -o jsonpath='{.items[*].status.addresses[?(@.type==\"InternalIP\")].address}'",
    "kubectl get po -o jsonpath='{.items[*].metadata.labels.app\\.kubernetes\\.io/name}'",
    "kubectl get deploy web -o jsonpath='{.spec.template.spec.containers[*].env[*].name}'",
    "kubectl get po -o go-template='{{range .items}}{{.metadata.name}}{{\"\\n\"}}{{end}}'",
    "kubectl get po -o go-template='{{(index .items 0).metadata.name}}'",
    "kubectl get po --template='{{range .items}}{{if eq .status.phase \"x\"}}{{.kind}}{{end}}{{end}}'",
    "kubectl get po -o custom-columns=NAME:.metadata.name,IMG:'.spec.containers[0].image' -n prod",
    "kubectl get po -o json | jq -r '.items[] | .metadata.name'",
    "kubectl get --raw /readyz",
    "kubectl get po -l app=web --field-selector status.phase=Running -L topology.kubernetes.io/zone",
    "kubectl logs -f deploy/web -c app --since=1h --tail=100 --timestamps",
    "kubectl logs -l app=web --all-containers --prefix --max-log-requests=10",
    "kubectl rollout status deploy/web --timeout=60s",
    "kubectl rollout history deploy/web --revision=3",
    "kubectl auth can-i '*' '*'",
    "kubectl config get-contexts -o name",
    "kubectl events --for pod/web --types=Warning",
    "kubectl top po --containers --sort-by=memory -A",
    "kubectl explain pod.spec --recursive",
    "kubectl api-resources --namespaced=true --verbs=list -o name",
    "kubectl wait --for=condition=Ready po/web --timeout=30s",
    "sudo k3s kubectl get no -o wide",
    "k3s crictl ps -a",
    "crictl imagefsinfo",
    "ctr -n k8s.io containers ls -q",
    "docker inspect -f '{{.State.Status}} {{.RestartCount}}' web",
    "docker inspect -f '{{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}}' web",
    "docker inspect --format '{{range $n, $c := .NetworkSettings.Networks}}{{$c.IPAddress}}{{end}}' web",
    "docker inspect web | jq '.[0].State.Health'",
    "docker image inspect -f '{{.RepoDigests}}' web:1",
    "docker-compose -f /srv/app/docker-compose.yml ps",
    "cd /srv/app && docker compose logs --tail=50 web",
    "docker top web -eo pid,comm",
    "docker node inspect self --format '{{.Status.State}}'",
    "podman pod ps",
    "podman port -a",
    "nerdctl -n k8s.io ps",
    "helm list -A --failed",
    "helm history web -n prod --max 5",
    "etcdctl --endpoints=https://10.0.0.5:2379 endpoint status -w table",
    "curl -sf -o /dev/null -w '%{http_code}' http://localhost:8080/healthz",
    "curl -sG http://localhost:9090/api/v1/query --data-urlencode 'query=up'",
    "curl -s localhost:9200/_cat/indices",
    "nginx -t",
    "varnishstat -1 -f MAIN.cache_hit",
    "varnishadm backend.list",
    "caddy version",
    "openssl dgst -sha256 /srv/app.tar.gz",
    "jstat -gcutil 1234 1000 5",
    "jcmd 1234 GC.heap_info",
    "jstack -l 1234",
    "php -m",
    "php-fpm8.2 -t",
    "pm2 status",
    "rabbitmqctl list_queues -p / name messages consumers",
    "rabbitmq-diagnostics check_port_connectivity",
    "kafka-topics.sh --bootstrap-server kafka-1:9092 --describe --topic orders",
    "kafka-consumer-groups --bootstrap-server localhost:9092 --describe --all-groups",
    "kcat -L -b kafka-1:9092",
    "nats stream info ORDERS",
    "promtool check rules /etc/prometheus/rules/web.yml",
    "promtool query instant http://prom:9090 'up == 0'",
    "amtool alert query --alertmanager.url=http://localhost:9093 severity=critical",
    'logcli query \'{app="web"} |= "error"\' --limit=50 --addr=http://loki:3100',
    "nomad job status web",
    "consul members -wan",
    "vault status",
]


@pytest.mark.parametrize("command", ADMIN)
def test_what_changes_runs_or_shows_secrets_needs_an_admin(command: str) -> None:
    assert classify(command).level >= Risk.L2


@pytest.mark.parametrize("command", ASKED)
def test_what_shows_how_things_are_set_up_is_confirmed(command: str) -> None:
    assert classify(command).level >= Risk.L1


@pytest.mark.parametrize("command", UNASKED)
def test_what_shows_state_only_runs_unasked(command: str) -> None:
    assert classify(command).level == Risk.L0


def test_every_rule_that_is_the_same_as_another_leads_to_one() -> None:
    waiting: list[Rule] = list(RULES.values())
    while waiting:
        rule = waiting.pop()
        assert not meant(rule).same
        assert not (rule.lowers | rule.only_with.keys() | rule.clash.keys()) - rule.flags.keys()
        waiting.extend(rule.sub.values())


# What the checkers call harmless, handed to the real programs

HIDDEN = "HIDDEN"
POD: dict[str, object] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "labels": {"app": "x"}, "annotations": {"a": HIDDEN}},
    "spec": {
        "nodeName": "n1",
        "containers": [
            {
                "name": "a",
                "image": "i",
                "command": [HIDDEN],
                "args": [HIDDEN],
                "env": [{"name": "K", "value": HIDDEN}],
                "livenessProbe": {"httpGet": {"path": "/", "httpHeaders": [{"name": "h", "value": HIDDEN}]}},
            }
        ],
        "volumes": [{"name": "v", "csi": {"volumeAttributes": {"password": HIDDEN}}}],
    },
    "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
}
STEPS = re.findall(
    r"\w+",
    """metadata name labels app annotations spec nodeName containers image command args env value
livenessProbe httpGet path httpHeaders volumes csi status phase conditions type kind""",
)
LISTS = frozenset(("containers", "command", "args", "env", "httpHeaders", "volumes", "conditions"))


def walk(chooser: random.Random, everything: str) -> str:
    """Return a path into the pod, sometimes a wrong one; ``everything``: how a list is gone through."""
    here: object = POD
    steps = ""
    for _ in range(chooser.randint(0, 5)):
        while isinstance(here, list) and here:
            here = here[0]
        if not isinstance(here, dict) or chooser.random() < 0.1:
            break
        name = chooser.choice([*here, *here, chooser.choice(STEPS)])
        steps += f".{name}" + (everything if name in LISTS else "")
        here = here.get(name)
    return steps or "."


def jsonpath(chooser: random.Random) -> str:
    pieces = [
        lambda: "{" + walk(chooser, "[*]") + "}",
        lambda: "{range " + walk(chooser, "[*]") + "}",
        lambda: "{end}",
        lambda: "{$" + walk(chooser, "[0]").rstrip(".") + "}",
        lambda: "{@" + walk(chooser, "[*]").rstrip(".") + "}",
        lambda: "{.." + chooser.choice(STEPS) + "}",
        lambda: "{.spec['containers','volumes'][*]" + walk(chooser, "[*]") + "}",
        lambda: "{.*" + walk(chooser, "[*]") + "}",
        lambda: '{"x"}',
    ]
    return "".join(chooser.choice(pieces)() for _ in range(chooser.randint(1, 4)))


def go_template(chooser: random.Random) -> str:
    path = lambda: walk(chooser, "")  # noqa: E731
    step = lambda: chooser.choice(STEPS)  # noqa: E731
    pieces: list[Callable[[], str]] = [
        lambda: f"{path()}",
        lambda: f"range {path()}",
        lambda: f"range {path()}",
        lambda: f"with {path()}",
        lambda: f"if {path()}",
        lambda: "else",
        lambda: "end",
        lambda: "end",
        lambda: f"$x := {path()}",
        lambda: f"range $k, $x := {path()}",
        lambda: f"$x.{step()}",
        lambda: "$x",
        lambda: f'index {path()} "{step()}"',
        lambda: f"(index {path()} 0).{step()}",
        lambda: f"print {path()} {path()}",
        lambda: f"{path()} | print",
    ]
    return "".join("{{" + chooser.choice(pieces)() + "}}" for _ in range(chooser.randint(1, 6)))


def jq_filter(chooser: random.Random) -> str:
    path = lambda: walk(chooser, "[]")  # noqa: E731
    pieces = [
        path,
        path,
        lambda: f"[{path()}]",
        lambda: f"{{name: {path()}}}",
        lambda: f"select({path()})",
        lambda: f"map({path()})",
        lambda: f"if {path()} then {path()} else {path()} end",
        lambda: f'"\\({path()})"',
        lambda: f"{path()}, {path()}",
        lambda: f'{path()} // "x"',
        lambda: f"sort_by({path()})",
        lambda: chooser.choice(
            ["length", "add", "first", "tostring", "tonumber", "keys", ".[]", "..", "not"]
        ),
    ]
    return " | ".join(chooser.choice(pieces)() for _ in range(chooser.randint(1, 4)))


def harmless_texts(make: Callable[[random.Random], str], judge: Callable[[str], bool]) -> list[str]:
    """Return texts that pass, and so may not show what is hidden."""
    chooser = random.Random(11)
    found = dict.fromkeys(text for text in (make(chooser) for _ in range(20_000)) if judge(text))
    return chooser.sample(list(found), min(len(found), 30))


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.parametrize("form", ["jsonpath", "go-template"])
def test_templates_that_pass_show_nothing_hidden_in_kubectl(form: str, tmp_path: Path) -> None:
    (tmp_path / "pod.json").write_text(json.dumps(POD))
    read, make = {
        "jsonpath": (jsonpath_is_harmless, jsonpath),
        "go-template": (go_template_is_harmless, go_template),
    }[form]
    shown = set()
    for text in harmless_texts(make, lambda text: read(text, KUBERNETES)):
        command = ["kubectl", "label", "--local", "-f", "pod.json", "a=b", "-o", f"{form}={text}"]
        run = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, env={"PATH": "/usr/bin:/usr/local/bin"}
        )
        # When a template fails, kubectl shows the whole object, as "describe" does.
        assert HIDDEN not in run.stdout or run.returncode, text
        shown.add(run.stdout)
    assert len(shown) > 5
    assert [file.name for file in tmp_path.iterdir()] == ["pod.json"]


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_filters_that_pass_show_nothing_hidden_in_jq() -> None:
    shown = set()
    for text in harmless_texts(jq_filter, lambda text: jq_is_harmless(text, KUBERNETES)):
        run = subprocess.run(["jq", "-c", text], input=json.dumps(POD), capture_output=True, text=True)
        assert HIDDEN not in run.stdout + run.stderr, text
        shown.add(run.stdout)
    assert len(shown) > 5


@pytest.mark.parametrize("sign", ["{{", "(", "[", "{", '"\\(', ".a", "|", "if ", "$x := ", "{range .a}"])
def test_long_or_deep_templates_are_judged_and_never_pass(sign: str) -> None:
    for text in (sign * 400, sign * 5000, "{{" + sign * 900 + "}}"):
        assert not go_template_is_harmless("{{.}}" + text, DOCKER)
        assert not jq_is_harmless(text + " | .", DOCKER)
        assert not jsonpath_is_harmless("{.x}" + text, KUBERNETES)
