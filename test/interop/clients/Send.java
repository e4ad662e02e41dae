import java.io.FileInputStream;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Properties;
import javax.mail.Message;
import javax.mail.Session;
import javax.mail.Transport;
import javax.mail.internet.InternetAddress;
import javax.mail.internet.MimeMessage;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** Sends one message as the environment says; for Jakarta Mail, javax.mail is jakarta.mail. */
public class Send {
    static String env(String name) {
        return System.getenv(name);
    }

    static SSLContext trusting(String file) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (InputStream in = new FileInputStream(file)) {
            store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context;
    }

    public static void main(String[] args) throws Exception {
        boolean implicit = env("TLS").equals("implicit");
        String mechanism = env("MECHANISM");
        Properties p = new Properties();
        p.put("mail.smtp.host", env("HOST"));
        p.put("mail.smtp.port", env("PORT"));
        p.put("mail.smtp.auth", "true");
        p.put("mail.smtp.auth.mechanisms", mechanism);
        p.put("mail.smtp.ssl.enable", String.valueOf(implicit));
        p.put("mail.smtp.starttls.enable", String.valueOf(!implicit));
        p.put("mail.smtp.starttls.required", String.valueOf(!implicit));
        p.put("mail.smtp.ssl.checkserveridentity", "true");
        p.put("mail.smtp.ssl.socketFactory", trusting(env("CA")).getSocketFactory());

        MimeMessage message = new MimeMessage(Session.getInstance(p));
        message.setFrom(new InternetAddress(env("SENDER")));
        message.setRecipients(Message.RecipientType.TO, env("RECIPIENT"));
        message.setSubject(env("SUBJECT"));
        message.setText(Files.readString(Path.of(env("BODY"))));
        Transport.send(message, env("LOGIN"), env(mechanism.equals("XOAUTH2") ? "TOKEN" : "PASSWORD"));
    }
}
