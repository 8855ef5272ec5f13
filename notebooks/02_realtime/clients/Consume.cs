// Ask an endpoint from C# (.NET 8 or later). The course does not run this file: it brings no .NET with it.
//
// Put it into an empty console project (`dotnet new console`), set SCORING_URI, and hand it the key on standard input.

using System.Net.Http.Headers;
using System.Net.Http.Json;

var uri = Environment.GetEnvironmentVariable("SCORING_URI");
var key = Console.ReadLine()?.Trim();
var wine = new { alcohol = 12.4, flavanoids = 2.1, color_intensity = 3.0, proline = 450.0 };

// One HttpClient for the whole program: it keeps its connections open.
using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(30) };
client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);

using var response = await client.PostAsJsonAsync(uri, new { wines = new[] { wine } });
if (response.IsSuccessStatusCode)
{
    Console.WriteLine(await response.Content.ReadAsStringAsync());
    return 0;
}
var id = response.Headers.TryGetValues("x-request-id", out var values) ? string.Join(",", values) : "unknown";
Console.Error.WriteLine($"refused with status {(int)response.StatusCode} id {id}");
return 1;
