using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace Tributary.Postgres.Scram;

/// <summary>The client's first message. Its user name is not kept: Postgres takes the one of the startup packet, and libpq sends none here.</summary>
/// <param name="Gs2Header">The flag of channel binding and the authorization identity, up to and with the second comma.</param>
/// <param name="Bare">The message after the header; part of what the proof is made over.</param>
public sealed record ScramClientFirst(string Gs2Header, string Bare, string Nonce)
{
    /// <summary>Reads the message by the rules of read_client_first_message in src/backend/libpq/auth-scram.c.</summary>
    public static bool TryParse(ReadOnlySpan<byte> message, [NotNullWhen(true)] out ScramClientFirst? first, [NotNullWhen(false)] out string? fault)
    {
        first = null;
        var text = Encoding.Latin1.GetString(message);
        var parts = text.Split(',');
        if (text.Contains('\0', StringComparison.Ordinal) || parts.Length < 4)
            fault = "expected a header, a user name and a nonce";
        else if (parts[0].StartsWith("p=", StringComparison.Ordinal))
            fault = "client requires SCRAM channel binding, but it is not supported";

        // 'y' says that the client could bind and believes that the server cannot. It is right: no mechanism with binding is offered here.
        else if (parts[0] is not ("n" or "y"))
            fault = "unexpected channel-binding flag";
        else if (parts[1].Length > 0)
            fault = "client uses authorization identity, but it is not supported";
        else if (parts[2].StartsWith("m=", StringComparison.Ordinal))
            fault = "client requires an unsupported SCRAM extension";
        else if (!parts[2].StartsWith("n=", StringComparison.Ordinal) || !parts[3].StartsWith("r=", StringComparison.Ordinal))
            fault = "expected attributes n and r";
        else if (parts[3].Length == 2 || parts[3].AsSpan().ContainsAnyExceptInRange('!', '~'))
            fault = "non-printable characters in SCRAM nonce";
        else
        {
            fault = null;
            first = new ScramClientFirst($"{parts[0]},,", text[(parts[0].Length + 2)..], parts[3][2..]);
        }

        return first is not null;
    }
}
