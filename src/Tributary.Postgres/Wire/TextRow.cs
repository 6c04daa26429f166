using System.Buffers.Binary;
using System.Text;

namespace Tributary.Postgres.Wire;

/// <summary>A DataRow of a simple query: its values as text. Source: https://www.postgresql.org/docs/current/protocol-message-formats.html</summary>
public static class TextRow
{
    /// <summary>The values, null for NULL; answers null when the body is cut short.</summary>
    public static string?[]? Parse(ReadOnlySpan<byte> body)
    {
        if (body.Length < sizeof(short) || BinaryPrimitives.ReadInt16BigEndian(body) is not (>= 0 and var count))
            return null;
        var rest = body[sizeof(short)..];
        var values = new string?[count];
        for (var i = 0; i < count; i++)
        {
            if (rest.Length < sizeof(int))
                return null;
            var length = BinaryPrimitives.ReadInt32BigEndian(rest);
            rest = rest[sizeof(int)..];
            if (length < 0)
                continue;
            if (length > rest.Length)
                return null;
            values[i] = Encoding.UTF8.GetString(rest[..length]);
            rest = rest[length..];
        }

        return values;
    }
}
