# Sets an encrypted cookie with Rails' own cookie jar, and prints the line:
# ruby rails.rb SECRET_KEY_BASE sha1|sha256 SECONDS|never NAME SESSION
require "openssl"
require "json"
require "active_support"
require "active_support/all"
require "active_support/messages/rotation_configuration"
require "action_dispatch"
require "action_dispatch/middleware/cookies"

secret, digest, seconds, name, session = ARGV

# As ActiveSupport::KeyGenerator does with `hash_digest_class`, which Debian's release has not got yet.
KeyGenerator = Struct.new(:secret, :digest) do
  def generate_key(salt, size = 64)
    OpenSSL::PKCS5.pbkdf2_hmac(secret, salt, 1000, size, digest)
  end
end

env = Rack::MockRequest.env_for(
  "/",
  "action_dispatch.key_generator" => KeyGenerator.new(secret, digest),
  "action_dispatch.authenticated_encrypted_cookie_salt" => "authenticated encrypted cookie",
  "action_dispatch.use_authenticated_cookie_encryption" => true,
  "action_dispatch.use_cookies_with_metadata" => true,
  "action_dispatch.cookies_serializer" => :json,
  "action_dispatch.cookies_rotations" => ActiveSupport::Messages::RotationConfiguration.new,
)
request = ActionDispatch::Request.new(env)
cookie = { value: JSON.parse(session) }
cookie[:expires] = Time.now + seconds.to_i unless seconds == "never"
request.cookie_jar.encrypted[name] = cookie
headers = {}
request.cookie_jar.write(headers)
puts headers["Set-Cookie"]
