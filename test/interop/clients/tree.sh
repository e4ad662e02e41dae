# Makes a place to run a mail server in, from a directory of Debian packages that no maintainer
# script has seen: what the server writes is its own copy, in this mount namespace only.
for dir in bin etc run tmp var; do
  mkdir -p "tree/$dir" "$TREE/$dir"
  cp -a "$TREE/$dir/." "tree/$dir"
  mount --bind "tree/$dir" "$TREE/$dir"
done
mkdir -p "$TREE/dev" "$TREE/proc" "$TREE/var/spool"
[ -e "$TREE/var/run" ] || ln -s /run "$TREE/var/run"
mount --rbind /dev "$TREE/dev"
mount -t proc proc "$TREE/proc"
chroot "$TREE" /bin/busybox --install -s /bin
cp "$CA" "$TREE/etc/ca.pem"
cp "$CERTIFICATE" "$TREE/etc/client.pem"
cp "$KEY" "$TREE/etc/client.key"
chmod 644 "$TREE"/etc/*.pem "$TREE/etc/client.key"
echo '127.0.0.1 localhost' >"$TREE/etc/hosts"
