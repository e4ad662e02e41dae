#!/usr/bin/ruby
require 'mail'

implicit = ENV['TLS'] == 'implicit'
mail = Mail.new do
  from ENV['SENDER']
  to ENV['RECIPIENT']
  subject ENV['SUBJECT']
  body File.read(ENV['BODY'])
end
mail.delivery_method :smtp, {
  address: ENV['HOST'], port: ENV['PORT'].to_i,
  user_name: ENV['LOGIN'], password: ENV['PASSWORD'], authentication: ENV['MECHANISM'].downcase,
  tls: implicit, enable_starttls: !implicit, ca_file: ENV['CA'], openssl_verify_mode: 'peer'
}
mail.deliver!
