using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Tributary.Postgres.Wire;

namespace Tributary.Gateway.Tests.Support;

/// <summary>The client's side of SCRAM over a raw connection; records what the server said, nonce, salt and proof blanked.</summary>
static class ScramTestClient
{
    public static Task SendInitialAsync(this RawClient client, string clientFirst, string mechanism = "SCRAM-SHA-256")
    {
        var data = Encoding.ASCII.GetBytes(clientFirst);
        return client.SendAsync(new FrameWriter().Begin((byte)'p').AddText(mechanism).AddInt32(data.Length).AddBytes(data).End().Written);
    }

    /// <summary>Logs in after the startup message; answers the server's words up to AuthenticationSASLFinal or its error.</summary>
    public static async Task<string> AuthenticateAsync(this RawClient client, string password, string flag = "n")
    {
        var transcript = new StringBuilder();
        transcript.Append(Describe(await client.ReadFrameAsync()));
        const string bare = "n=,r=abcdefghijklmnop";
        await client.SendInitialAsync($"{flag},,{bare}");
        var challenge = await client.ReadFrameAsync();
        if (challenge.Type == ErrorResponse.Type)
            return transcript.Append(Describe(challenge)).ToString();
        Assert.Equal(11, BinaryPrimitives.ReadInt32BigEndian(challenge.Body.Span));
        var serverFirst = Encoding.ASCII.GetString(challenge.Body.Span[4..]);
        var parts = serverFirst.Split(',').Select(p => p[2..]).ToArray();
        transcript.Append($"R r:{parts[0].Length} s:{parts[1].Length} i={parts[2]};");

        var salted = Rfc2898DeriveBytes.Pbkdf2(password, Convert.FromBase64String(parts[1]), int.Parse(parts[2]), HashAlgorithmName.SHA256, 32);
        var clientKey = HMACSHA256.HashData(salted, "Client Key"u8);
        var withoutProof = $"c={Convert.ToBase64String(Encoding.ASCII.GetBytes($"{flag},,"))},r={parts[0]}";
        var signature = HMACSHA256.HashData(SHA256.HashData(clientKey), Encoding.ASCII.GetBytes($"{bare},{serverFirst},{withoutProof}"));
        for (var i = 0; i < clientKey.Length; i++)
            clientKey[i] ^= signature[i];
        var final = Encoding.ASCII.GetBytes($"{withoutProof},p={Convert.ToBase64String(clientKey)}");
        await client.SendAsync(new FrameWriter().Begin((byte)'p').AddBytes(final).End().Written);
        var last = await client.ReadFrameAsync();
        return transcript.Append(last.Type == (byte)'R' ? $"R {BinaryPrimitives.ReadInt32BigEndian(last.Body.Span)};" : Describe(last)).ToString();
    }

    static string Describe(Frame frame) => $"{(char)frame.Type} {Encoding.ASCII.GetString(frame.Body.Span).Replace('\0', '|')};";
}
