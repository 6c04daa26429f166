using System.Text;
using Tributary.Postgres.Scram;

namespace Tributary.Postgres.Tests.Scram;

public sealed class ScramServerTests
{
    // The exchange of RFC 7677 section 3.
    const string ServerNonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const string ClientFinal = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    static readonly byte[] Salt = Convert.FromBase64String("W22ZaJ0SNY7soEsUEjb6gQ==");

    [Fact]
    public void Exchange_of_rfc_7677_is_played_to_the_letter()
    {
        var server = Begin();

        Assert.Equal("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", Encoding.ASCII.GetString(server.ServerFirst));
        var verdict = server.Verify(Encoding.ASCII.GetBytes(ClientFinal), ScramKeys.Derive("pencil", Salt, 4096));
        Assert.Null(verdict.Fault);
        Assert.Equal("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", Encoding.ASCII.GetString(verdict.ServerFinal!));
    }

    [Fact]
    public void Wrong_password_is_neither_proved_nor_a_fault() =>
        Assert.Equal(ScramVerdict.WrongPassword, Begin().Verify(Encoding.ASCII.GetBytes(ClientFinal), ScramKeys.Derive("pencils", Salt, 4096)));

    [Theory]
    [InlineData("")]
    [InlineData("c=biws")]
    [InlineData("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")]
    [InlineData("c=eSws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")]
    [InlineData("c=biws,r=rOprNGfwEbeRWgbNEkqO,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")]
    [InlineData("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=AAAA")]
    [InlineData("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=!")]
    [InlineData("r=x,c=biws,p=AAAA")]
    public void Malformed_last_message_is_a_fault(string clientFinal) =>
        Assert.NotNull(Begin().Verify(Encoding.ASCII.GetBytes(clientFinal), ScramKeys.Derive("pencil", Salt, 4096)).Fault);

    [Theory]
    [InlineData("n,,n=,r=abc", "n,,", "abc")]
    [InlineData("y,,n=user,r=abc", "y,,", "abc")]
    [InlineData("n,,n=user,r=abc,x=ignored", "n,,", "abc")]
    public void First_message_is_read(string message, string header, string nonce)
    {
        Assert.True(ScramClientFirst.TryParse(Encoding.ASCII.GetBytes(message), out var first, out _));
        Assert.Equal((header, nonce, message[3..]), (first.Gs2Header, first.Nonce, first.Bare));
    }

    [Fact]
    public void Random_bytes_are_faults_and_never_exceptions()
    {
        var random = new Random(20_260_102);
        var keys = ScramKeys.Derive("pencil", Salt, 4096);
        const string alphabet = "nypcrms=,abcAB12+/= \0\u00e9";
        for (var i = 0; i < 20_000; i++)
        {
            var bytes = new byte[random.Next(0, 60)];
            for (var j = 0; j < bytes.Length; j++)
                bytes[j] = (byte)alphabet[random.Next(alphabet.Length)];
            if (!ScramClientFirst.TryParse(bytes, out _, out var fault))
                Assert.NotEmpty(fault!);
            Assert.Null(Begin().Verify(bytes, keys).ServerFinal);
        }
    }

    [Fact]
    public void Password_beyond_printable_ascii_is_refused() => Assert.Throws<ArgumentException>(() => ScramKeys.Derive("pencil\u00e9", Salt, 4096));

    [Fact]
    public void Nonces_differ()
    {
        Assert.True(ScramClientFirst.TryParse("n,,n=,r=abc"u8, out var first, out _));

        Assert.NotEqual(ScramServer.Begin(first, Salt, 4096).ServerFirst, ScramServer.Begin(first, Salt, 4096).ServerFirst);
    }

    static ScramServer Begin()
    {
        Assert.True(ScramClientFirst.TryParse("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"u8, out var first, out _));
        return ScramServer.BeginWithNonce(first, ServerNonce, Salt, 4096);
    }
}
