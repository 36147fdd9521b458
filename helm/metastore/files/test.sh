# The test of `helm test`: needs etcdctl and a POSIX shell, and nothing else of the image.
# Kubernetes itself replaces two dollar signs by one here: none stand together.
etcdctl endpoint health

etcdctl put "$KEY" "$VALUE"
read_back=$(etcdctl get --print-value-only "$KEY")
[ "$read_back" = "$VALUE" ] || { echo "get: read '$read_back' after writing '$VALUE'"; exit 1; }
echo "get: $read_back"

# From the put on: what is older may be compacted.
revision=$(etcdctl get --write-out=fields "$KEY" | while read -r name _ value; do
  case $name in '"ModRevision"') echo "$value" ;; esac
done)
# A watch has no end of its own: the command that it runs on the first event fails, which ends it.
seen=$(etcdctl watch --rev="$revision" "$KEY" -- sh -c 'echo "$ETCD_WATCH_EVENT_TYPE"; exit 1' 2>/dev/null || true)
case $seen in
  *PUT*) echo "watch: saw the put" ;;
  *) echo "watch: no event but '$seen'"; exit 1 ;;
esac

etcdctl del "$KEY" >/dev/null
echo "all well: health, put, get, watch, delete"
