# An nginx that answers with 100 bytes, for scripts that source this: `serve FOLDER PORT [COMMAND…]` starts it
# under COMMAND, sets $url, and stops it when the script ends. Needs nginx (Debian: nginx-light) and curl.
serve() {
  local work=$1 port=$2
  shift 2
  head -c 100 /dev/zero | tr '\0' x > "$work/small"
  cat > "$work/nginx.conf" <<CONF
daemon off; worker_processes 1; pid $work/nginx.pid; error_log $work/error.log;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 100000000; keepalive_timeout 600s; open_file_cache max=10;
  client_body_temp_path $work/body; proxy_temp_path $work/proxy; fastcgi_temp_path $work/fastcgi;
  uwsgi_temp_path $work/uwsgi; scgi_temp_path $work/scgi;
  server { listen 127.0.0.1:$port backlog=4096; root $work; }
}
CONF
  "$@" nginx -c "$work/nginx.conf" 2>/dev/null &
  nginx=$!
  trap 'kill $nginx 2>/dev/null || true; wait 2>/dev/null || true' EXIT
  url=http://127.0.0.1:$port/small
  for _ in $(seq 50); do curl -sf -o /dev/null "$url" && break; sleep 0.1; done
}
