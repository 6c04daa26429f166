using System.Text;

namespace Tributary.Postgres.Wire;

/// <summary>
/// An error as Postgres tells it to a client. The severity is repeated untranslated in field V, which drivers read.
/// Source: https://www.postgresql.org/docs/current/protocol-error-fields.html
/// </summary>
/// <param name="SqlState">Five characters; https://www.postgresql.org/docs/current/errcodes-appendix.html</param>
public sealed record ErrorResponse(string Severity, string SqlState, string Message)
{
    public const byte Type = (byte)'E';

    public string? Detail { get; init; }

    /// <summary>What the user can do about it.</summary>
    public string? Hint { get; init; }

    /// <summary>An error that ends the connection.</summary>
    public static ErrorResponse Fatal(string sqlState, string message, string? hint = null) => new("FATAL", sqlState, message) { Hint = hint };

    public FrameWriter WriteTo(FrameWriter writer)
    {
        writer.Begin(Type);
        WriteField(writer, 'S', Severity);
        WriteField(writer, 'V', Severity);
        WriteField(writer, 'C', SqlState);
        WriteField(writer, 'M', Message);
        WriteField(writer, 'D', Detail);
        WriteField(writer, 'H', Hint);
        return writer.AddByte(0).End();
    }

    /// <summary>Reads the fields of an ErrorResponse or a NoticeResponse; missing ones are empty. Answers null when the body is cut short.</summary>
    public static ErrorResponse? TryParse(ReadOnlySpan<byte> body)
    {
        var fields = new Dictionary<char, string>();
        while (true)
        {
            if (body.IsEmpty)
                return null;
            var field = (char)body[0];
            if (field == '\0')
                break;
            var end = body.IndexOf((byte)0);
            if (end < 0)
                return null;
            fields[field] = Encoding.UTF8.GetString(body[1..end]);
            body = body[(end + 1)..];
        }

        return new ErrorResponse(
            fields.GetValueOrDefault('V') ?? fields.GetValueOrDefault('S', ""), fields.GetValueOrDefault('C', ""), fields.GetValueOrDefault('M', ""))
        {
            Detail = fields.GetValueOrDefault('D'),
            Hint = fields.GetValueOrDefault('H'),
        };
    }

    static void WriteField(FrameWriter writer, char field, string? value)
    {
        // Text may come from a client's own names; a zero character in it would end the field early.
        if (value is not null)
            writer.AddByte((byte)field).AddText(value.Replace("\0", "", StringComparison.Ordinal));
    }
}
