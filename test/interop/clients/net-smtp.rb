#!/usr/bin/ruby
require 'net/smtp'

smtp = Net::SMTP.new(ENV['HOST'], ENV['PORT'].to_i)
context = Net::SMTP.default_ssl_context({ ca_file: ENV['CA'] })
ENV['TLS'] == 'implicit' ? smtp.enable_tls(context) : smtp.enable_starttls(context)
smtp.start('localhost', ENV['LOGIN'], ENV['PASSWORD'], ENV['MECHANISM'].downcase.to_sym) do |client|
  client.send_message(File.read(ENV['MESSAGE']), ENV['SENDER'], ENV['RECIPIENT'])
end
